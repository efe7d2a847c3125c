package hardware

import (
	"bufio"
	"bytes"
	"context"
	"os/exec"
	"strconv"
	"strings"
)

// A GPUReading is how a GPU is at the moment. What its driver does not tell is
// nil.
type GPUReading struct {
	Card       string   // such as "nvidia:0"
	Busy       *float64 // of the time, 0 to 1
	Celsius    *float64
	MemoryUsed *float64 // bytes
	Watts      *float64
	Throttled  *bool // slowed down for its heat or its power
}

// gpuFields are what nvidia-smi is asked for, in order.
const gpuFields = "index,utilization.gpu,temperature.gpu,memory.used,power.draw,clocks_throttle_reasons.active"

// slowed are the reasons for a lower clock that are no choice of the user's:
// the power cap, slow-down by hardware, heat (software and hardware), power
// brake. From nvml.h, nvmlClocksEventReason*.
const slowed = 0x4 | 0x8 | 0x20 | 0x40 | 0x80

// ReadGPUs asks nvidia-smi how its GPUs are. Without it there are none.
func ReadGPUs(ctx context.Context) []GPUReading {
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu="+gpuFields, "--format=csv,noheader,nounits").Output()
	if err != nil {
		return nil
	}
	return parseGPUs(out)
}

func parseGPUs(csv []byte) []GPUReading {
	var all []GPUReading
	for lines := bufio.NewScanner(bytes.NewReader(csv)); lines.Scan(); {
		fields := strings.Split(lines.Text(), ",")
		if len(fields) != strings.Count(gpuFields, ",")+1 {
			continue
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		all = append(all, GPUReading{
			Card: "nvidia:" + fields[0],
			Busy: scaled(fields[1], 0.01), Celsius: scaled(fields[2], 1), MemoryUsed: scaled(fields[3], 1<<20), Watts: scaled(fields[4], 1),
			Throttled: throttled(fields[5]),
		})
	}
	return all
}

// scaled is a number times unit, nil for what is none ("[N/A]").
func scaled(text string, unit float64) *float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil
	}
	n *= unit
	return &n
}

func throttled(mask string) *bool {
	n, err := strconv.ParseUint(strings.TrimPrefix(mask, "0x"), 16, 64)
	if err != nil {
		return nil
	}
	is := n&slowed != 0
	return &is
}
