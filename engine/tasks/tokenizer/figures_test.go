//go:build figures

package tokenizer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const rounds = 5 // ours and theirs in turn

// TestFigures prints how fast real vocabularies are loaded and used, over the
// reference on one thread: the median round, of the vocabularies the slowest.
func TestFigures(t *testing.T) {
	dir := referenceFor(t, 2000)
	var texts []string
	readJSON(t, filepath.Join(dir, "texts.json"), &texts)
	loads, speeds := map[string][]float64{}, map[string][]float64{}
	for range rounds {
		theirs := timeTheirs(t, dir)
		for i, v := range vocabularies {
			load, encode := timeOurs(t, filepath.Join(dir, v.name+".tokenizer.json"), texts)
			loads[v.name] = append(loads[v.name], load/theirs[2*i])
			speeds[v.name] = append(speeds[v.name], theirs[2*i+1]/encode)
		}
	}
	worstLoad, worstSpeed := 0.0, 1e9
	for _, v := range vocabularies {
		l, s := median(loads[v.name]), median(speeds[v.name])
		fmt.Printf("# P16 %s: %.2f of the reference's speed, loaded in %.2f of its time\n", v.name, s, l)
		worstLoad, worstSpeed = max(worstLoad, l), min(worstSpeed, s)
	}
	verdict := map[bool]string{true: "ok", false: "short"}
	fmt.Printf("P16 %.3f ratio >=0.5 %s\n", worstSpeed, verdict[worstSpeed >= 0.5])
	fmt.Printf("P16l %.3f ratio <=3 %s\n", worstLoad, verdict[worstLoad <= 3])
}

func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
}

// timeTheirs returns pairs of seconds, to load and to encode.
func timeTheirs(t *testing.T, dir string) []float64 {
	t.Helper()
	args := []string{"testdata/speed.py", filepath.Join(dir, "texts.json")}
	for _, v := range vocabularies {
		args = append(args, filepath.Join(dir, v.name+".tokenizer.json"))
	}
	out, err := exec.CommandContext(t.Context(), python(t), args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []float64
	for word := range strings.FieldsSeq(string(out)) {
		var x float64
		if _, err := fmt.Sscan(word, &x); err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	return all
}

func timeOurs(t *testing.T, path string, texts []string) (load, encode float64) {
	t.Helper()
	start := time.Now()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Load(data)
	if err != nil {
		t.Fatal(err)
	}
	load = time.Since(start).Seconds()
	start = time.Now()
	for _, s := range texts {
		tok.Encode(s, 0)
	}
	return load, time.Since(start).Seconds()
}
