//go:build unix

package command

import "testing"

func TestDefaultAllowed(t *testing.T) {
	const home = "/home/ada"
	for dir, want := range map[string]bool{
		"/": false, "": false, ".": false, "/home": false, "/home/ada": false, "/home/ada/": false, "/etc": false, "/etc/x": false,
		"/usr/lib/x": false, "/root": false, "/tmp": true, "/home/ada/models": true, "/work/project": true, "/srv/models": true,
		"/var": false, "/var/tmp/x": true, "/proc/1": false,
	} {
		if got := len(defaultAllowed(dir, home)) == 1; got != want {
			t.Errorf("%q: %v, want %v", dir, got, want)
		}
	}
	if len(defaultAllowed("/root/models", "/root")) != 1 {
		t.Error("a folder in root's home is not allowed to root")
	}
	if len(defaultAllowed("/work", "")) != 1 {
		t.Error("a folder is not allowed without a home")
	}
}
