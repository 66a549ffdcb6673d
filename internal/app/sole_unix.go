//go:build unix

package app

import (
	"errors"
	"os"
	"syscall"
)

// lock holds a file for this process, until it is closed or the process ends, however it does; taken says that another
// has it. On a disk that knows no locks, nobody has.
func lock(f *os.File) (taken bool) {
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
