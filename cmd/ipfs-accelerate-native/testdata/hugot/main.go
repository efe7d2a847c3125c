// Command hugot embeds texts with hugot's default, which is pure Go, to be
// measured: each line of standard input is a JSON list of texts, answered by a
// line of JSON with the seconds they took.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/knights-analytics/hugot"
)

func main() {
	session, err := hugot.NewGoSession()
	if err != nil {
		log.Fatal(err)
	}
	p, err := hugot.NewPipeline(session, hugot.FeatureExtractionConfig{ModelPath: os.Args[1], Name: "minilm", OnnxFilename: "model.onnx"})
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var texts []string
		if err := json.Unmarshal(lines.Bytes(), &texts); err != nil {
			log.Fatal(err)
		}
		began := time.Now()
		if _, err := p.RunPipeline(texts); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("{\"seconds\":%g}\n", time.Since(began).Seconds())
	}
}
