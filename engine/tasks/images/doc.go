// Package images makes of picture files what models see: decoding with limits
// and upright, resizing as Pillow and OpenCV do, and the steps that a model's
// preprocessor_config.json asks for.
package images
