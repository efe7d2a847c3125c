package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Formats of samples in a WAV file.
const (
	wavPCM        = 1
	wavFloat      = 3
	wavALaw       = 6
	wavMuLaw      = 7
	wavExtensible = 0xfffe
)

// wavBlock is how many samples of each channel are read at once.
const wavBlock = 1 << 15

type wavSource struct {
	data   []byte
	size   int // bytes of a sample
	frame  int // samples of a moment: the channels
	sample func([]byte) float32
}

// openWAV reads the header. Libraries at hand read integers only.
func openWAV(data []byte) (*stream, error) {
	if len(data) < 12 || string(data[8:12]) != "WAVE" || string(data[:4]) == "RIFX" {
		return nil, errors.New("no WAVE file of little-endian samples")
	}
	var s *stream
	for at := 12; at+8 <= len(data); {
		size := int64(binary.LittleEndian.Uint32(data[at+4:]))
		body := data[at+8:]
		body = body[:min(size, int64(len(body)))] // what a recorder left open claims more than is there
		switch string(data[at : at+4]) {
		case "fmt ":
			var err error
			if s, err = wavFormat(body); err != nil {
				return nil, err
			}
		case "data":
			if s == nil {
				return nil, errors.New("samples before their format")
			}
			w := s.source.(*wavSource) //nolint:forcetypeassert // wavFormat made it
			w.data, s.frames = body, len(body)/w.size/w.frame
			return s, nil
		}
		at += 8 + len(body) + len(body)&1
	}
	return nil, errors.New("no samples")
}

// wavFormat reads what the samples are.
func wavFormat(b []byte) (*stream, error) {
	if len(b) < 16 {
		return nil, io.ErrUnexpectedEOF
	}
	kind, bits := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[14:])
	if kind == wavExtensible && len(b) >= 26 {
		kind = binary.LittleEndian.Uint16(b[24:])
	}
	sample := wavSamples[[2]uint16{kind, bits}]
	if sample == nil {
		return nil, fmt.Errorf("samples of format %d with %d bits", kind, bits)
	}
	channels := int(binary.LittleEndian.Uint16(b[2:]))
	w := &wavSource{size: int(bits / 8), frame: max(channels, 1), sample: sample}
	return &stream{source: w, rate: int(binary.LittleEndian.Uint32(b[4:])), channels: channels}, nil
}

// wavSamples read a sample, by format and bits.
var wavSamples = map[[2]uint16]func([]byte) float32{
	{wavPCM, 8}:  func(b []byte) float32 { return (float32(b[0]) - 128) / 128 },
	{wavPCM, 16}: func(b []byte) float32 { return float32(int16(binary.LittleEndian.Uint16(b))) / (1 << 15) },
	{wavPCM, 24}: func(b []byte) float32 {
		return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)) / (1 << 31)
	},
	{wavPCM, 32}:   func(b []byte) float32 { return float32(int32(binary.LittleEndian.Uint32(b))) / (1 << 31) },
	{wavFloat, 32}: func(b []byte) float32 { return finite(float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))) },
	{wavFloat, 64}: func(b []byte) float32 { return finite(math.Float64frombits(binary.LittleEndian.Uint64(b))) },
	{wavALaw, 8}:   func(b []byte) float32 { return aLaw(b[0]) },
	{wavMuLaw, 8}:  func(b []byte) float32 { return muLaw(b[0]) },
}

// finite is 0 for what is no number, which one would spread everywhere.
func finite(v float64) float32 {
	if math.IsNaN(v) || math.Abs(v) > 1e6 {
		return 0
	}
	return float32(v)
}

// aLaw expands a byte of G.711.
func aLaw(b byte) float32 {
	b ^= 0x55
	v := int(b&15)<<4 + 8
	if e := b >> 4 & 7; e > 0 {
		v = (v + 0x100) << (e - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return float32(v) / 32768
}

// muLaw expands a byte of G.711.
func muLaw(b byte) float32 {
	b = ^b
	v := (int(b&15)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		v = -v
	}
	return float32(v) / 32768
}

func (w *wavSource) read() ([]float32, error) {
	n := min(len(w.data)/w.size/w.frame, wavBlock) * w.frame
	if n == 0 {
		return nil, io.EOF
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = w.sample(w.data[i*w.size:])
	}
	w.data = w.data[n*w.size:]
	return out, nil
}
