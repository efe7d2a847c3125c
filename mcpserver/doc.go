// Package mcpserver is the protocol's front door: it serves the tools,
// resources and prompts of one engine over stdio, and over streamable HTTP
// (/mcp) and SSE (/sse) on a TCP address or a Unix socket, to clients of
// 2026-07-28 and of the revisions before it, several transports at once.
//
// mcp-go speaks the protocol; this package stands between it and the clients.
// It loses no answer at the end of the input, keeps the handshake first,
// answers no request that was taken back, and sends each notification of a
// call on that call's own stream.
//
// Over HTTP a guard stands before every route. It refuses other Hosts and
// Origins, asks for the bearer token where one is needed, and keeps the
// [Limits]. An address that others than this machine can reach takes a token
// and TLS. There is no OAuth yet: whoever has the token may do everything.
package mcpserver
