package audio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
	"github.com/jfreymuth/oggvorbis"
	"github.com/mewkiz/flac"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Limits on a sound. They hold while it is decoded: a few bytes can claim any
// length.
const (
	MaxBytes   = 64 << 20 // of the file
	MaxSeconds = 2 * 60 * 60

	minRate, maxRate = 1_000, 192_000 // samples a second
	maxChannels      = 32
)

// Formats are those that can be read, as a sentence has them.
const Formats = "WAV, FLAC, MP3 or OGG (Vorbis)"

// A source hands on a sound piece by piece.
type source interface {
	// read returns interleaved samples from -1 to 1, or io.EOF.
	read() ([]float32, error)
}

// stream is an opened sound.
type stream struct {
	source
	rate, channels int
	frames         int // samples of each channel, 0 if not known before they are read
}

// Decode reads a sound as one channel, the mean of all, at so many samples a
// second. What is no sound is ErrInvalidArgument; what is over a limit
// ErrTooLarge.
func Decode(ctx context.Context, r io.Reader, rate int) (samples []float32, err error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the sound can't be read: %w", err)
	}
	if len(data) > MaxBytes {
		return nil, engine.Errorf(engine.ErrTooLarge, "the sound's file is over %d MB", MaxBytes>>20)
	}
	defer func() { // of the decoders', on files made to break them
		if broken := recover(); broken != nil {
			samples, err = nil, engine.Errorf(engine.ErrInvalidArgument, "the sound is broken: %v", broken)
		}
	}()
	s, err := open(data)
	if err != nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the input is no sound that can be read: %w", err).
			WithHint("pass the path of a %s file", Formats)
	}
	if s.rate < minRate || s.rate > maxRate || s.channels < 1 || s.channels > maxChannels {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the sound has %d channels of %d samples a second; up to %d of %d to %d can be read", s.channels, s.rate, maxChannels, minRate, maxRate)
	}
	if s.frames/s.rate > MaxSeconds {
		return nil, errLong
	}
	return s.all(ctx, rate)
}

// errLong is the error for a sound that is too long.
var errLong = engine.Errorf(engine.ErrTooLarge, "the sound is longer than %d minutes", MaxSeconds/60).WithHint("cut it into parts")

var errFormat = errors.New("unknown format")

// open finds the decoder.
func open(data []byte) (*stream, error) {
	switch {
	case bytes.HasPrefix(data, []byte("RIFF")), bytes.HasPrefix(data, []byte("RIFX")), bytes.HasPrefix(data, []byte("RF64")):
		return openWAV(data)
	case bytes.HasPrefix(data, []byte("fLaC")):
		return openFLAC(data)
	case bytes.HasPrefix(data, []byte("OggS")):
		return openOGG(data)
	case bytes.HasPrefix(data, []byte("ID3")), len(data) > 1 && data[0] == 0xff && data[1]&0xe0 == 0xe0:
		return openMP3(data)
	}
	return nil, errFormat
}

// all reads the whole stream.
func (s *stream) all(ctx context.Context, rate int) ([]float32, error) {
	var out []float32
	r := newResampler(s.rate, rate)
	for {
		block, err := s.read()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, engine.Errorf(engine.ErrInvalidArgument, "the sound is broken: %w", err)
		}
		if out = r.push(out, s.mono(block)); len(out) > MaxSeconds*rate {
			return nil, errLong
		}
	}
	if out = r.finish(out); len(out) == 0 {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the sound is empty")
	}
	return out, nil
}

// mono is the mean of the channels.
func (s *stream) mono(block []float32) []float32 {
	if s.channels == 1 {
		return block
	}
	out := make([]float32, len(block)/s.channels)
	for i := range out {
		sum := float32(0)
		for _, v := range block[i*s.channels : (i+1)*s.channels] {
			sum += v
		}
		out[i] = sum / float32(s.channels)
	}
	return out
}

type flacSource struct {
	stream *flac.Stream
	scale  float32
}

func openFLAC(data []byte) (*stream, error) {
	f, err := flac.New(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	scale := 1 / float32(int64(1)<<(f.Info.BitsPerSample-1))
	return &stream{source: &flacSource{f, scale}, rate: int(f.Info.SampleRate), channels: int(f.Info.NChannels)}, nil
}

func (f *flacSource) read() ([]float32, error) {
	frame, err := f.stream.ParseNext()
	if err != nil {
		return nil, err
	}
	channels := len(frame.Subframes)
	if channels != int(f.stream.Info.NChannels) {
		return nil, fmt.Errorf("a frame has %d channels, not %d", channels, f.stream.Info.NChannels)
	}
	out := make([]float32, channels*frame.Subframes[0].NSamples)
	for c, sub := range frame.Subframes {
		for i, v := range sub.Samples {
			out[i*channels+c] = float32(v) * f.scale
		}
	}
	return out, nil
}

type mp3Source struct{ d *mp3.Decoder }

func openMP3(data []byte) (*stream, error) {
	d, err := mp3.NewDecoder(onlyReader{bytes.NewReader(data)})
	if err != nil {
		return nil, err
	}
	return &stream{source: mp3Source{d}, rate: d.SampleRate(), channels: 2}, nil
}

// onlyReader can't seek, which has the decoder not read everything at first.
type onlyReader struct{ io.Reader }

func (m mp3Source) read() ([]float32, error) {
	var block [16384]byte
	n, err := io.ReadFull(m.d, block[:])
	if n == 0 {
		return nil, err
	}
	out := make([]float32, n/2)
	for i := range out {
		out[i] = float32(int16(uint16(block[2*i])|uint16(block[2*i+1])<<8)) / 32768
	}
	return out, nil
}

type oggSource struct {
	r     *oggvorbis.Reader
	block []float32
}

func openOGG(data []byte) (*stream, error) {
	r, err := oggvorbis.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return &stream{source: &oggSource{r, make([]float32, 4096*r.Channels())}, rate: r.SampleRate(), channels: r.Channels()}, nil
}

func (o *oggSource) read() ([]float32, error) {
	n, err := o.r.Read(o.block)
	if n > 0 {
		return o.block[:n], nil
	}
	return nil, err
}
