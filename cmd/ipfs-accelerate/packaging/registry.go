package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// registryEntry is the repository's server.json for this version, with the
// bundle as its package: what the registry of MCP servers wants to be told
// when the release is published.
func (m *maker) registryEntry(bundle string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(m.root, "server.json"))
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("server.json: %w", err)
	}
	hash, err := sum(bundle)
	if err != nil {
		return nil, err
	}
	repository := doc["repository"].(map[string]any)["url"].(string)
	doc["version"] = m.version
	doc["packages"] = []any{map[string]any{
		"registryType": "mcpb", "version": m.version, "fileSha256": hash, "transport": map[string]any{"type": "stdio"},
		"identifier": fmt.Sprintf("%s/releases/download/v%s/%s", repository, m.version, filepath.Base(bundle)),
	}}
	return json.MarshalIndent(doc, "", "  ")
}
