package ipfsstore_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// kuboCIDs are what Kubo says of the golden folder, by profile.
func kuboCIDs(t *testing.T) map[ipfsstore.Profile]map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/cid_folder.json")
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	out := make(map[ipfsstore.Profile]map[string]string)
	for _, p := range ipfsstore.Profiles() {
		var cids map[string]string
		if err := json.Unmarshal(raw[string(p)], &cids); err != nil {
			t.Fatal(err)
		}
		out[p] = cids
	}
	return out
}

func TestAdd_bothProfilesAsKubo(t *testing.T) {
	t.Parallel() // it takes long, and waits much
	dir := goldenFolder(t, memDir(t))
	for profile, want := range kuboCIDs(t) {
		s := memStore(t)
		hidden := mustAdd(t, s, dir, ipfsstore.AddOptions{Hidden: true, Profile: profile}).Root
		got := map[string]string{"folder_with_hidden": hidden}
		if profile == ipfsstore.ProfileV1 || os.Getenv("STRESS") == "1" { // what is left out has nothing to do with the profile
			got["folder"] = mustAdd(t, s, dir, ipfsstore.AddOptions{Profile: profile}).Root
		}
		for _, name := range []string{"many", "model.onnx", "empty.bin"} {
			a, err := s.Open(t.Context(), "/ipfs/"+hidden+"/"+name)
			if err != nil {
				t.Fatal(err)
			}
			got[name] = a.Root
		}
		for name, cid := range got {
			if cid != want[name] {
				t.Errorf("%s, %s: root %s, Kubo says %s", profile, name, cid, want[name])
			}
		}
	}
}

// zeros makes a sparse file of nothing but zeros.
func zeros(t *testing.T, size int64) string {
	t.Helper()
	p := filepath.Join(memDir(t), "zeros")
	f, err := os.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAdd_hugeFile adds a file whose tree has several levels: 8 GiB, or with
// less patience what boxo can be asked about.
func TestAdd_hugeFile(t *testing.T) {
	t.Parallel() // it takes long, and waits much
	if os.Getenv("STRESS") == "1" {
		p := zeros(t, 8<<30)
		for profile, want := range kuboCIDs(t) {
			if a := mustAdd(t, memStore(t), p, ipfsstore.AddOptions{Profile: profile}); a.Root != want["zeros_8GiB"] {
				t.Errorf("%s: root %s, Kubo says %s", profile, a.Root, want["zeros_8GiB"])
			}
		}
		return
	}
	for profile, size := range map[ipfsstore.Profile]int64{ // one link more than a node holds
		ipfsstore.ProfileV1: 1024<<20 + 1, ipfsstore.ProfileV0: 174*256<<10 + 1,
	} {
		p := zeros(t, size)
		want := newBoxo(profiles[profile]).add(t, p).Cid().String()
		if a := mustAdd(t, memStore(t), p, ipfsstore.AddOptions{Profile: profile}); a.Root != want {
			t.Errorf("%s: root %s, boxo says %s", profile, a.Root, want)
		}
	}
}

// TestAdd_v0IsServed serves what was added as CIDv0: its leaves are made again.
func TestAdd_v0IsServed(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	a := mustAdd(t, s, modelFolder(t), ipfsstore.AddOptions{Profile: ipfsstore.ProfileV0})
	other := openStore(t, gateway(t, "first", s))
	f, err := other.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, modelFiles())
	for _, s := range []*ipfsstore.Store{s, other} {
		if err := errors.Join(s.Verify(t.Context(), a.Root), s.Export(t.Context(), a.Root, io.Discard)); err != nil {
			t.Error(err)
		}
	}
}

func TestAdd_unknownProfile(t *testing.T) {
	t.Parallel()
	if _, err := openStore(t).Add(t.Context(), modelFolder(t), ipfsstore.AddOptions{Profile: "v2"}); !errors.Is(err, ipfsstore.ErrInvalidRef) {
		t.Errorf("%v, want ErrInvalidRef", err)
	}
}
