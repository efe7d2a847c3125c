// Command packaging makes what is released: archives per platform, an MCP
// bundle (MCPB), lists of what is in them, and the registry's server.json.
//
//	packaging [--version V] release    everything, in bin/release
//	packaging [--version V] mcpb       the bundle of this platform, in bin
//	packaging [--version V] stage DIR  what is in the bundle, as a folder
//
// It is run by `make release` and `make mcpb`, in the repository's root. What
// it makes is the same, byte for byte, whenever it is made of the same sources
// by the same tools.
package main
