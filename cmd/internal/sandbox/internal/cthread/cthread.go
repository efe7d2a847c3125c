//go:build cgo && linux

// Package cthread has a thread that C made, and Go knows nothing of, try what
// a sandbox forbids. It is for tests, which can't contain C themselves.
package cthread

/*
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int go, done, open_errno, socket_errno;

static int try_open(void) { int fd = open("/etc/passwd", O_RDONLY); if (fd < 0) return errno; close(fd); return 0; }
static int try_socket(void) { int fd = socket(AF_INET, SOCK_STREAM, 0); if (fd < 0) return errno; close(fd); return 0; }

static void *run(void *unused) {
  pthread_mutex_lock(&mu);
  while (!go) pthread_cond_wait(&changed, &mu);
  open_errno = try_open();
  socket_errno = try_socket();
  done = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mu);
  return unused;
}

static int start(void) { pthread_t t; return pthread_create(&t, NULL, run, NULL); }

static void finish(int *open_out, int *socket_out) {
  pthread_mutex_lock(&mu);
  go = 1;
  pthread_cond_broadcast(&changed);
  while (!done) pthread_cond_wait(&changed, &mu);
  *open_out = open_errno;
  *socket_out = socket_errno;
  pthread_mutex_unlock(&mu);
}
*/
import "C"

import "syscall"

// Start makes the thread, which waits.
func Start() error {
	if n := C.start(); n != 0 {
		return syscall.Errno(n)
	}
	return nil
}

// Finish has the thread try to read /etc/passwd and to make a socket, and
// returns how that ended: 0 means that it worked.
func Finish() (open, socket syscall.Errno) {
	var o, s C.int
	C.finish(&o, &s)
	return syscall.Errno(o), syscall.Errno(s)
}
