package runner

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// The CPU pack: ONNX Runtime out of a package of the npm registry, which has
// the libraries of all platforms. License: MIT.
const (
	// PackVersion is the version of ONNX Runtime that the pack has.
	PackVersion = "1.30.0"

	packName   = "onnxruntime-node"
	packSHA256 = "6e3390d6b783e7be946fad629292799da28d0b42f84856e50d2c1b0383291e75"
	packBytes  = 113507888
)

// A packFile is a file of the pack: where it lies in the package, and what it
// has to be.
type packFile struct {
	path   string // below package/bin/napi-v6
	bytes  int64
	sha256 string
}

// packs are the files per platform, the library that is loaded first.
var packs = map[string][]packFile{
	"linux/amd64": {
		{"linux/x64/libonnxruntime.so.1", 45828512, "ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23"},
	},
	"linux/arm64": {
		{"linux/arm64/libonnxruntime.so.1", 25135496, "1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76"},
	},
	"darwin/arm64": {
		{"darwin/arm64/libonnxruntime.1.dylib", 44589928, "685d2be5dba1309c89d3a5324b7fd06a5c42f1a61bfea32d14c4cc28d072121d"},
	},
	"windows/amd64": {
		{"win32/x64/onnxruntime.dll", 28754232, "508c362f5673483dd3a086379c392795b2e42d10d5e6f3f90ebd7ac21c97af67"},
		{"win32/x64/DirectML.dll", 18527584, "234e8898778cdec88d3cb0539508273494082812c968699f3de665a018971625"},
		{"win32/x64/dxil.dll", 1508664, "cf9a3981263f8ec30c9905d136eeaf4b4573209c602198671b958ec86905dea8"},
		{"win32/x64/dxcompiler.dll", 17986360, "593d42df78c7f9cbd97c1374af107cfe20985759f98b77afc1448fe41ee3cc76"},
	},
	"windows/arm64": {
		{"win32/arm64/onnxruntime.dll", 29815136, "6c3a2abf5c6aca11c48a0d338a91af309f2266f25ce2e4084e6a87bbcb0fbfd0"},
		{"win32/arm64/DirectML.dll", 18444600, "aaf72a9d55aa123e0708d957d30dd4fbeb7a2e335ec6257ed5ff4261a402b9ee"},
		{"win32/arm64/dxil.dll", 1769784, "859b6d638c5ca3df39e9cab2a602cb0f63d0e63d750f84bb2a9ec9031319b73e"},
		{"win32/arm64/dxcompiler.dll", 22285624, "442a995492579e1048cf1f05a86ab00f476c46b7f9d0996e588884040a543bbe"},
	},
}

// pack returns the files that this platform needs.
func pack() ([]packFile, error) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	files := packs[platform]
	if files == nil {
		return nil, engine.Errorf(engine.ErrUnsupported, "there is no ONNX Runtime package for %s", platform).
			WithHint("build ONNX Runtime %s yourself and set ORT_LIB to its library", PackVersion)
	}
	return files, nil
}

// installed is where f lies in dir. All files of a platform share a
// folder, since they look for one another there.
func (f packFile) installed(dir string) string {
	return filepath.Join(dir, "onnxruntime-"+PackVersion, filepath.FromSlash(f.path))
}

// Library returns the path of the library that [Install] put into dir, or
// ErrRuntimeMissing. It does not hash the file again.
func Library(dir string) (string, error) {
	files, err := pack()
	if err != nil {
		return "", err
	}
	for _, f := range files {
		info, err := os.Stat(f.installed(dir))
		if err != nil || info.Size() != f.bytes {
			return "", engine.Errorf(engine.ErrRuntimeMissing, "ONNX Runtime %s is not installed", PackVersion)
		}
	}
	return files[0].installed(dir), nil
}

// Verified is [Library], but hashes what is installed again: ErrHashMismatch
// says that it has changed.
func Verified(dir string) (string, error) {
	library, err := Library(dir)
	if err != nil {
		return "", err
	}
	files, err := pack()
	if err != nil {
		return "", err
	}
	for _, f := range files {
		if err := f.verify(dir); err != nil {
			return "", err
		}
	}
	return library, nil
}

// verify hashes f where it is installed.
func (f packFile) verify(dir string) error {
	file, err := os.Open(f.installed(dir))
	if err != nil {
		return fmt.Errorf("verify ONNX Runtime: %w", err)
	}
	defer file.Close() // read-only
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return fmt.Errorf("verify ONNX Runtime: %w", err)
	}
	if got := hexSum(sum); got != f.sha256 {
		return engine.Errorf(engine.ErrHashMismatch, "%s has SHA-256 %s, not %s", f.path, got, f.sha256)
	}
	return nil
}
