// Package tools is what an agent can do: five tools over one engine. Each is
// a Go function with a typed input and output; their schemas are made from
// the types, and committed under testdata/schemas.
package tools
