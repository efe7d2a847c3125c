// Package mcpserver is the protocol's front door: it serves the tools and
// resources of one engine over stdio, and over streamable HTTP (/mcp) and SSE
// (/sse) on the loopback interface.
package mcpserver
