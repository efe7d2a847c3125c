// Package config says where the program keeps its things and what it was told
// to use: flags come before the environment, the environment before the user's
// file, that before defaults.
package config
