#!/bin/sh
# A conversation with the server in a shell pipeline: one JSON-RPC message per
# line in, one answer per line out. At the end of the input everything that was
# asked is answered.
#
#   sh pipe.sh ../../bin/ipfs-accelerate
set -eu
server=${1:-ipfs-accelerate}
{
	echo '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"pipe","version":"1"}}}'
	echo '{"jsonrpc":"2.0","method":"notifications/initialized"}'
	echo '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"detect_hardware","arguments":{"platforms":["cpu"]}}}'
	echo '{"jsonrpc":"2.0","id":3,"method":"resources/read","params":{"uri":"models://"}}'
} | "$server" serve
