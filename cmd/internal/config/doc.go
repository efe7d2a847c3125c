// Package config says where the program keeps its things and what it was told
// to use: flags come before the environment, the environment before the user's
// file, that before the project's file, that before defaults. A key "a.b_c" is
// the flag --a-b-c and the variable IPFS_ACCELERATE_A_B_C.
//
// The project's file comes with a cloned repository, so it may be a stranger's:
// it sets a few harmless keys, and nothing in it keeps the program from working.
package config
