//! Where the module's data lies in its memory.

/// How many bytes of stack the module has; its data follow.
///
/// An engine that gives each request an instance of its own, as policy-server and our hosts do, pays for the pages that are
/// touched, and Linux maps the 64 KiB around a page that is read. From 0xecc00 on, what a request without an annotation
/// reads lies in one such block, 0xf0000 to 0xfffff, and what it writes in one page of it. Elsewhere it costs two or three
/// page faults more, a tenth to a third of such a request. `make bench` tells when the data have outgrown the place:
/// `docs/decisions/0002-what-the-module-weighs.md` says how it was found.
const STACK: u32 = 0xe_cc00;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("wasm") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size={STACK}");
    }
}
