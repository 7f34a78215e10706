# Building a program out of a Go module that a go.mod of ours pins.

# go_toolchain: puts a `go` on PATH that is as new as the go.mod here asks for. The user's own is preferred (it may
# fetch a newer one by itself); the `go` part stands in where there is none, or where it is too old and may not.
go_toolchain() {
    if ! go list -m; then
        echo "no go on PATH is as new as $PWD/go.mod asks for; taking the part 'go'"
        local part
        part=$(../../provision go)
        PATH=$(dirname "$(readlink -f "${part#go=}")"):$PATH
        go version
    fi
}

# What Go fetches and compiles is several GB that nothing needs afterwards: it lies beside `$staging` until the build ends.
trap 'rm -rf "${staging:?}.go"' EXIT

# go_program OUTPUT PACKAGE [FLAGS...]: no cgo, so that what is built runs on any Linux; checksums as in go.sum.
go_program() {
    local output=$1 package=$2
    shift 2
    CGO_ENABLED=0 GOWORK=off GOFLAGS='-mod=readonly -trimpath -buildvcs=false -modcacherw' \
        GOCACHE=$staging.go/build GOMODCACHE=$staging.go/modules \
        go build -o "$output" "$@" "$package"
}

# go_pinned MODULE: the version that the go.mod here has of a module.
go_pinned() {
    awk -v module="$1" '{ sub(/^require /, "") } $1 == module && $2 ~ /^v/ { print $2; exit }' go.mod
}
