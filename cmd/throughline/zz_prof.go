//go:build prof

package main

import (
	"os"
	"runtime/pprof"
	"os/signal"
	"syscall"
)

func init() {
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGUSR1)
	go func() {
		on := false
		for range ch {
			if !on {
				f, _ := os.Create(os.Getenv("PROF"))
				pprof.StartCPUProfile(f)
				on = true
			} else {
				pprof.StopCPUProfile()
				on = false
			}
		}
	}()
}
