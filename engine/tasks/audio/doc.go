// Package audio makes of sound files what models hear: decoding with limits,
// one channel at the rate that is wanted, and Whisper's log-mel spectrogram.
package audio
