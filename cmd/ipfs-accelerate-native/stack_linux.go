package main

/*
#define _GNU_SOURCE
#include <pthread.h>

static int set_stack(size_t bytes) {
  pthread_attr_t attr;
  int err = pthread_attr_init(&attr);
  if (err == 0) err = pthread_attr_setstacksize(&attr, bytes);
  if (err == 0) err = pthread_setattr_default_np(&attr);
  return err;
}
*/
import "C"

import (
	"os"
	"syscall"
)

// stackBytes is the stack of threads made from now on. The usual 8 MiB each
// would count against the memory limit although hardly any of it is touched.
const stackBytes = 2 << 20

func limitStacks() error {
	if errno := C.set_stack(stackBytes); errno != 0 {
		return os.NewSyscallError("pthread_setattr_default_np", syscall.Errno(errno))
	}
	return nil
}
