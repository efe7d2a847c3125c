package onnx

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// apiBase finds OrtGetApiBase in the library, which the binding has loaded.
func apiBase(path string) (unsafe.Pointer, error) {
	handle, err := windows.LoadLibrary(path)
	if err != nil {
		return nil, err
	}
	f, err := windows.GetProcAddress(handle, "OrtGetApiBase")
	return unsafe.Pointer(f), err //nolint:govet // an address of code, which the collector never moves
}
