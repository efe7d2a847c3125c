package images

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"    // decodes
	_ "image/jpeg" // decodes
	_ "image/png"  // decodes
	"io"

	_ "golang.org/x/image/bmp"  // decodes
	_ "golang.org/x/image/tiff" // decodes
	_ "golang.org/x/image/webp" // decodes

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Limits on a picture, which hold before it is decoded: a few bytes can claim
// any size.
const (
	MaxPixels = 50_000_000
	MaxBytes  = 64 << 20 // of the file

	maxDecoded = 256 << 20 // bytes of pixels as the decoder keeps them
)

// Formats are those that can be read, as a sentence has them.
const Formats = "PNG, JPEG, GIF, WebP, BMP or TIFF"

// Decode reads a picture and turns it upright as its EXIF data says. Of an
// animation it is the first frame. Transparency is left out and the colour
// beneath it kept, as Pillow's convert("RGB") does. What is no picture is
// ErrInvalidArgument; what is over a limit ErrTooLarge.
func Decode(ctx context.Context, r io.Reader) (*Picture, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the picture can't be read: %w", err)
	}
	if len(data) > MaxBytes {
		return nil, engine.Errorf(engine.ErrTooLarge, "the picture's file is over %d MB", MaxBytes>>20)
	}
	c, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the input is no picture that can be read: %w", err).
			WithHint("pass the path of a %s file", Formats)
	}
	if err := fits(c); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	m, err := decode(data, format)
	if err != nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the %s picture is broken: %w", format, err)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	p := fromImage(m, format, image.Rect(0, 0, c.Width, c.Height))
	return p.upright(orientation(data, format)), ctx.Err()
}

// fits reports whether a picture of this size may be decoded.
func fits(c image.Config) error {
	if c.Width <= 0 || c.Height <= 0 {
		return engine.Errorf(engine.ErrInvalidArgument, "the picture says it is %d × %d pixels", c.Width, c.Height)
	}
	each := 4
	switch c.ColorModel {
	case color.RGBA64Model, color.NRGBA64Model:
		each = 8
	case color.GrayModel:
		each = 1
	case color.Gray16Model:
		each = 2
	}
	if c.Width > MaxPixels/c.Height || c.Width*c.Height*each > maxDecoded {
		return engine.Errorf(engine.ErrTooLarge, "the picture says it is %d × %d pixels, over the limit of %d million", c.Width, c.Height, MaxPixels/1_000_000).
			WithHint("scale it down first")
	}
	return nil
}

func decode(data []byte, format string) (image.Image, error) {
	if format == "gif" { // image.Decode would do, but for a panic of its reader's on a frame of no pixels
		return gif.Decode(bytes.NewReader(data))
	}
	m, _, err := image.Decode(bytes.NewReader(data))
	return m, err
}

// upright undoes the orientation of EXIF, 1 to 8.
func (p *Picture) upright(orientation uint16) *Picture {
	w, h := p.Width-1, p.Height-1
	switch orientation {
	case 2:
		return p.moved(p.Width, p.Height, func(x, y int) (int, int) { return w - x, y })
	case 3:
		return p.Rotate(2)
	case 4:
		return p.moved(p.Width, p.Height, func(x, y int) (int, int) { return x, h - y })
	case 5:
		return p.moved(p.Height, p.Width, func(x, y int) (int, int) { return y, x })
	case 6:
		return p.Rotate(3)
	case 7:
		return p.moved(p.Height, p.Width, func(x, y int) (int, int) { return w - y, h - x })
	case 8:
		return p.Rotate(1)
	}
	return p
}

// orientation finds how the camera was held, 0 if the file does not say.
func orientation(data []byte, format string) uint16 {
	switch format {
	case "tiff":
		return tiffOrientation(data)
	case "jpeg":
		return tiffOrientation(jpegExif(data))
	case "png":
		return tiffOrientation(chunk(data, 8, "eXIf", binary.BigEndian, 4, 8))
	case "webp":
		return tiffOrientation(bytes.TrimPrefix(chunk(data, 12, "EXIF", binary.LittleEndian, 0, 0), []byte("Exif\x00\x00")))
	}
	return 0
}

// jpegExif is the EXIF data of a JPEG file.
func jpegExif(data []byte) []byte {
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		if data[at+1] == 0xff { // padding
			at++
			continue
		}
		size := int(binary.BigEndian.Uint16(data[at+2:]))
		if data[at+1] == 0xda || size < 2 || at+2+size > len(data) { // the picture itself
			return nil
		}
		if body, ok := bytes.CutPrefix(data[at+4:at+2+size], []byte("Exif\x00\x00")); ok && data[at+1] == 0xe1 {
			return body
		}
		at += 2 + size
	}
	return nil
}

// chunk finds a part of a file of named parts: PNG's have the name behind the
// length and a sum at the end, RIFF's before it and are of even length.
func chunk(data []byte, at int, name string, order binary.ByteOrder, nameAt, extra int) []byte {
	for at+8 <= len(data) {
		size := int64(order.Uint32(data[at+4-nameAt:]))
		if size > int64(len(data)-at-8) {
			return nil
		}
		if string(data[at+nameAt:at+nameAt+4]) == name {
			return data[at+8 : at+8+int(size)]
		}
		at += 8 + int(size)
		if extra > 0 {
			at += 4
		} else {
			at += int(size & 1)
		}
	}
	return nil
}

// tiffOrientation is the orientation of the first picture of TIFF's format,
// in which EXIF is as well.
func tiffOrientation(data []byte) uint16 {
	const tag = 0x112
	if len(data) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(data[4:]))
	if at+2 > int64(len(data)) {
		return 0
	}
	for range order.Uint16(data[at:]) {
		field := data[min(at+2, int64(len(data))):]
		if len(field) < 12 {
			return 0
		}
		if order.Uint16(field) == tag {
			return order.Uint16(field[8:])
		}
		at += 12
	}
	return 0
}
