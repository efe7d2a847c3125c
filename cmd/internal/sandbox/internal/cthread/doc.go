//go:build !cgo || !linux

// Package cthread is empty without cgo.
package cthread
