#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# pair.sh tcp|udp|sctp PORT SERVER CLIENT: for upstream programs whose own script
# joins two ends by veth: here both are in one namespace, over its lo.  Runs
# SERVER, and CLIENT as soon as the port is bound; fails if one of them does.
proto=$1 port=$2
sh -c "$3" &
server=$!
tries=0
case $proto in
tcp) list=-t ;;
udp) list=-u ;;
sctp) list=-S ;;
esac
until ss -Hln "$list" | grep -q ":$port "; do
	tries=$((tries + 1))
	[ "$tries" -le 600 ] || { echo "the server does not listen"; exit 1; }
	sleep 0.1
done
sh -c "$4"
client=$?
wait "$server"
server=$?
echo "server: status $server, client: status $client"
[ "$client" = 0 ] && [ "$server" = 0 ]
