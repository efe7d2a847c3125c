package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/packages"
)

// zigWheel holds a C compiler that compiles and links for macOS.
var zigWheel = packages.Wheel{
	Name: "ziglang", Version: "0.15.2",
	File:   "ziglang-0.15.2-py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64.musllinux_1_1_x86_64.whl",
	SHA256: "806316453d1ede7174ed3fefb8e5348154629089c3bb5fe812dfd0e172fac130",
}

// hasZig reports whether there is a wheel of zig for this platform.
func hasZig() bool { return runtime.GOOS == "linux" && runtime.GOARCH == "amd64" }

// A stub stands for a library of macOS that is not here: its symbols, as the
// linker wants to know them. What is missing from it does not link.
type stub struct {
	file, install string
	symbols       string
}

// stubs are the libraries of macOS that Go's runtime and standard library use
// when a program is linked with C.
var stubs = []stub{
	{
		"CoreFoundation.framework/CoreFoundation.tbd", "/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation",
		"CFArrayAppendValue CFArrayCreateMutable CFArrayGetCount CFArrayGetValueAtIndex CFBundleCopyResourceURL CFBundleGetMainBundle " +
			"CFBundleGetValueForInfoDictionaryKey CFDataCreate CFDataGetBytePtr CFDataGetLength CFDateCreate CFDictionaryGetValueIfPresent " +
			"CFEqual CFErrorCopyDescription CFErrorGetCode CFNumberGetValue CFRelease CFStringCreateExternalRepresentation " +
			"CFStringCreateWithBytes CFStringGetCString CFURLCreateWithFileSystemPath CFURLGetString",
	},
	{
		"Security.framework/Security.tbd", "/System/Library/Frameworks/Security.framework/Versions/A/Security",
		"SecCertificateCopyData SecCertificateCreateWithData SecPolicyCreateSSL SecTrustCopyCertificateChain " +
			"SecTrustCreateWithCertificates SecTrustEvaluate SecTrustEvaluateWithError SecTrustSetVerifyDate",
	},
	{"libresolv.tbd", "/usr/lib/libresolv.9.dylib", "res_9_nclose res_9_ninit res_9_nsearch"},
}

func (s stub) text() string {
	return fmt.Sprintf("--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\ninstall-name: '%s'\ncurrent-version: 1\n"+
		"exports:\n  - targets: [ arm64-macos ]\n    symbols: [ _%s ]\n...\n", s.install, strings.ReplaceAll(s.symbols, " ", ", _"))
}

// zig makes compilers for darwin/arm64 in dir, and returns the environment
// that uses them.
func zig(ctx context.Context, dir string) ([]string, error) {
	cache, err := cache()
	if err != nil {
		return nil, err
	}
	wheel, err := zigWheel.Fetch(ctx, filepath.Join(cache, "packages"))
	if err != nil {
		return nil, err
	}
	home := filepath.Join(cache, "ziglang-"+zigWheel.Version)
	if _, err := os.Stat(home); err != nil {
		if err := unzip(wheel, home); err != nil {
			return nil, err
		}
	}
	for _, s := range stubs {
		if err := spread(dir, []entry{text(s.file, []byte(s.text()))}); err != nil {
			return nil, err
		}
	}
	var env []string
	for variable, language := range map[string]string{"CC": "cc", "CXX": "c++"} {
		script := fmt.Sprintf("#!/bin/sh\nexec %q %s -target aarch64-macos.12.0 -F%q -L%q -Wno-unused-command-line-argument \"$@\"\n",
			filepath.Join(home, "ziglang", "zig"), language, dir, dir)
		name := filepath.Join(dir, "zig-"+language)
		if err := os.WriteFile(name, []byte(script), 0o755); err != nil { //nolint:gosec // it is to be run
			return nil, err
		}
		env = append(env, variable+"="+name)
	}
	return env, nil
}

// unzip writes a wheel's files into dir, whole or not at all. All can be run:
// wheels keep no modes.
func unzip(wheel, dir string) (err error) {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer z.Close() // read-only
	temp, err := os.MkdirTemp(filepath.Dir(dir), ".unzip-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		if err := unzipFile(f, temp); err != nil {
			return err
		}
	}
	return os.Rename(temp, dir)
}

func unzipFile(f *zip.File, dir string) error {
	if !filepath.IsLocal(f.Name) {
		return fmt.Errorf("%q leads out of the folder", f.Name)
	}
	dest := filepath.Join(dir, filepath.FromSlash(f.Name))
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return err
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	return errors.Join(write(dest, r, 0o755), r.Close())
}
