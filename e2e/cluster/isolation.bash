# What makes the cluster's processes see, and change, nothing but their own: cgroups, mounts, network.

# The hierarchies of cgroup version 1 that are mounted here, one a line: `memory`, `cpu,cpuacct`, `name=systemd`.
hierarchies() {
    local controllers
    while IFS=: read -r _ controllers _; do
        if [[ -n $controllers && -d /sys/fs/cgroup/${controllers#name=} ]]; then
            echo "$controllers"
        fi
    done </proc/self/cgroup
}

has_cgroup_2() { [[ -f /sys/fs/cgroup/cgroup.controllers ]]; }

# join_cgroup NAME: moves this process into a cgroup of that name in each hierarchy.
join_cgroup() {
    local hierarchy tree file
    if has_cgroup_2; then
        mkdir -p "/sys/fs/cgroup/$1"
        echo 0 >"/sys/fs/cgroup/$1/cgroup.procs"
        return
    fi
    for hierarchy in $(hierarchies); do
        tree=/sys/fs/cgroup/${hierarchy#name=}
        mkdir -p "$tree/$1"
        # A new cpuset has no processors and no memory until it is given some.
        for file in cpuset.cpus cpuset.mems; do
            [[ ! -f $tree/$file ]] || cat "$tree/$file" >"$tree/$1/$file"
        done
        echo 0 >"$tree/$1/cgroup.procs"
    done
}

# Mounts cgroups anew: in a cgroup namespace this process' own cgroup is the root.
own_cgroups() {
    local all hierarchy controller tree
    if has_cgroup_2; then
        mount -t sysfs sysfs /sys
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        # A cgroup that passes controllers on has no process.
        mkdir -p /sys/fs/cgroup/node
        echo 0 >/sys/fs/cgroup/node/cgroup.procs
        for controller in $(</sys/fs/cgroup/cgroup.controllers); do
            echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
        done
        return
    fi
    all=$(hierarchies)
    mount -t sysfs sysfs /sys
    mount -t tmpfs tmpfs /sys/fs/cgroup
    for hierarchy in $all; do
        tree=/sys/fs/cgroup/${hierarchy#name=}
        mkdir "$tree"
        mount -t cgroup -o "${hierarchy/#name=/none,name=}" cgroup "$tree"
        for controller in ${hierarchy//,/ }; do
            [[ $controller = name=* || -e /sys/fs/cgroup/$controller ]] || ln -s "$hierarchy" "/sys/fs/cgroup/$controller"
        done
    done
}

# own_mounts FOLDER: what is written to the system's folders ends up in FOLDER.
own_mounts() {
    local place setting value
    mount --make-rshared /
    for place in /etc /var/lib /var/log; do
        mkdir -p "$1/changed$place" "$1/work$place"
        mount -t overlay overlay -o "lowerdir=$place,upperdir=$1/changed$place,workdir=$1/work$place" "$place"
    done
    mount -t tmpfs tmpfs /run
    # The kubelet would set these for the whole machine; it finds them set.
    while IFS='=' read -r setting value; do
        echo "$value" >"/run/$setting"
        mount --bind "/run/$setting" "/proc/sys/${setting//./\/}"
    done <<'SETTINGS'
vm.overcommit_memory=1
vm.panic_on_oom=0
kernel.panic=10
kernel.panic_on_oops=1
kernel.keys.root_maxkeys=1000000
kernel.keys.root_maxbytes=25000000
SETTINGS
}

# own_network ADDRESS SERVICES: an interface with the node's address, and no route but to Services.
own_network() {
    ip link set lo up
    ip link add node0 type bridge
    ip address add "$1/32" dev node0
    ip link set node0 up
    # What is for a Service is redirected to a pod once it has a way out.
    ip route add "$2" dev node0 src "$1"
    echo 1 >/proc/sys/net/ipv4/ip_forward
}
