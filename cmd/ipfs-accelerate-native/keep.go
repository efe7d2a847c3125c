package main

import (
	"os"
	"path/filepath"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/sandbox"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

// What providers read that load libraries while they work.
var (
	libraries = []string{"/lib", "/lib64", "/usr/lib", "/usr/local/lib"}
	lookUp    = []string{"/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo", "/proc/self/maps", "/proc/self/status"}
)

// What drivers of GPUs read besides, and their device nodes.
var (
	drivers = []string{"/sys", "/usr/share", "/etc/vulkan", "/usr/local/cuda", "/usr/local/nvidia", "/opt", "/proc/driver", "/proc/devices", "/proc/modules"}
	nodes   = []string{"/dev/dri", "/dev/kfd", "/dev/nvidia*", "/dev/nvidia-caps"}
)

// keep leaves the process what a provider needs to load libraries and drive
// devices late.
func keep(p *sandbox.Policy, as packs.Provider) {
	if as.Name == "" {
		return
	}
	kept := append(append([]string{}, as.Folders...), libraries...)
	kept = append(kept, lookUp...)
	if as.GPU {
		kept = append(append(kept, drivers...), vulkan()...)
		kept = append(kept, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...)
		for _, pattern := range nodes {
			found, _ := filepath.Glob(pattern) // the patterns are right
			p.Devices = append(p.Devices, found...)
		}
	}
	for _, path := range kept {
		switch info, err := os.Stat(path); {
		case err != nil:
		case info.IsDir():
			p.ReadDirs = append(p.ReadDirs, path)
		default:
			p.ReadFiles = append(p.ReadFiles, path)
		}
	}
}

// vulkan are the folders of the drivers that the environment names.
func vulkan() []string {
	var out []string
	for _, name := range []string{"VK_DRIVER_FILES", "VK_ICD_FILENAMES"} {
		for _, file := range filepath.SplitList(os.Getenv(name)) {
			out = append(out, filepath.Dir(file))
		}
	}
	return out
}
