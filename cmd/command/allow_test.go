//go:build unix

package command

import "testing"

func TestMayAllow(t *testing.T) {
	const home = "/home/ada"
	for dir, want := range map[string]bool{
		"/": false, "": false, ".": false, "/home": false, "/home/ada": false, "/home/ada/": false, "/etc": false, "/etc/x": false,
		"/usr/lib/x": false, "/root": false, "/tmp": true, "/home/ada/models": true, "/data/project": true, "/srv/models": true,
		"/var": false, "/var/tmp/x": true, "/proc/1": false,
	} {
		if got := mayAllow(dir, home); got != want {
			t.Errorf("%q: %v, want %v", dir, got, want)
		}
	}
	if !mayAllow("/root/models", "/root") {
		t.Error("a folder in root's home is not allowed to root")
	}
	if !mayAllow("/work", "") {
		t.Error("a folder is not allowed without a home")
	}
}
