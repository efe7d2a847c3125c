package tools

import (
	"encoding/base64"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// maxImage is the largest picture put into an answer, in bytes of PNG; a
// larger one is only linked.
const maxImage = 1 << 20

// illustrate shows the pictures of an answer and links its files.
func illustrate(pictures []engine.Picture, files []engine.FileRef) []mcp.Content {
	var out []mcp.Content
	for _, p := range pictures {
		if len(p.PNG) <= maxImage {
			out = append(out, mcp.NewImageContent(base64.StdEncoding.EncodeToString(p.PNG), "image/png"))
		}
	}
	for _, f := range files {
		out = append(out, mcp.NewResourceLink(f.URI, f.URI, "", f.MIMEType))
	}
	return out
}
