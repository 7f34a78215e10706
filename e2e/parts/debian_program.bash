# Programs out of Debian packages that are unpacked beside everything else, not installed.

# debian_packages STAGING PACKAGE...: these packages, and what they depend on and the machine lacks, in STAGING/root.
debian_packages() {
    local staging=$1 unpacked
    shift
    if ! command -v apt-get >/dev/null; then
        echo "needs apt-get (Debian or Ubuntu). Elsewhere bring your own programs, naming each in" \
            "TELEWARDEN_PART_<NAME>, for example TELEWARDEN_PART_SKOPEO=/usr/bin/skopeo"
        return 1
    fi
    unpacked=$(../../../scripts/debian-unpack "$@")
    # Links, so that it costs nothing to have them here as well, where nobody takes them away.
    mkdir "$staging/root"
    cp --archive --link "$unpacked/." "$staging/root" || cp --archive "$unpacked/." "$staging/root"
}

# debian_program STAGING NAME FILE [ARGUMENT...]: bin/NAME, which runs FILE of the unpacked packages with their own
# libraries. Words may use $root, where the packages are; it is found when the program starts, since STAGING is renamed.
debian_program() {
    local staging=$1 name=$2 file=$3 libraries
    shift 3
    # The sound library has a private one in a folder of its own.
    libraries=$(cd "$staging/root" && shopt -s nullglob &&
        printf '$root/%s\n' {,usr/}lib/*-linux-gnu{,/pulseaudio} | paste -sd:)
    cat >"$staging/bin/$name" <<END
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")/../root
export LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "\$root/$file" $* "\$@"
END
    chmod +x "$staging/bin/$name"
}
