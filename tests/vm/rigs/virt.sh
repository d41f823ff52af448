. ./lib.sh
there /dev/kvm /dev/vhost-net /dev/vhost-vsock
trace virt --device kvm --device vhost
watched machine /dev/kvm ./kvm /dev/kvm
watched rings /dev/vhost-net ./vhost /dev/vhost-net /dev/vhost-vsock
untrace
