package trial

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ticksPerSecond is the kernel's clock tick as /proc shows it on every Linux.
const ticksPerSecond = 100

// cpuOf is the CPU time in seconds that the processes and all under them have used, those that have
// ended included. Where there is no /proc it is 0.
func cpuOf(roots []int) float64 {
	total := 0.0
	for _, pid := range tree(roots) {
		fields := statOf(pid)
		if len(fields) < 15 {
			continue
		}
		for _, f := range fields[11:15] { // utime stime cutime cstime
			n, err := strconv.ParseFloat(f, 64)
			if err == nil {
				total += n / ticksPerSecond
			}
		}
	}
	return total
}

// statOf are the fields of /proc/PID/stat after the command's name: state, parent, …
func statOf(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, ok := bytes.Cut(data, []byte(") "))
	if i := bytes.LastIndex(data, []byte(") ")); ok && i >= 0 {
		rest = data[i+2:]
	}
	return strings.Fields(string(rest))
}

func parentOf(pid int) int {
	fields := statOf(pid)
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return parent
}

// tree is every process at or under the roots.
func tree(roots []int) []int {
	children := map[int][]int{}
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is right, so there is no error
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			children[parentOf(pid)] = append(children[parentOf(pid)], pid)
		}
	}
	var list []int
	for next := roots; len(next) > 0; {
		list = append(list, next...)
		var under []int
		for _, pid := range next {
			under = append(under, children[pid]...)
		}
		next = under
	}
	return list
}

// rss is the memory in MiB that the processes hold now.
func rss(pids []int) float64 {
	total := 0.0
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			continue
		}
		if f := strings.Fields(string(data)); len(f) > 1 {
			if pages, err := strconv.ParseFloat(f[1], 64); err == nil {
				total += pages * float64(os.Getpagesize()) / (1 << 20)
			}
		}
	}
	return total
}

// peak watches the highest memory until it is stopped.
type peak struct {
	end     chan struct{}
	watcher sync.WaitGroup
	highest float64
}

func watchMemory(pids []int) *peak {
	p := &peak{end: make(chan struct{}), highest: rss(pids)}
	p.watcher.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-p.end:
				return
			case <-tick.C:
				p.highest = max(p.highest, rss(pids))
			}
		}
	})
	return p
}

func (p *peak) stop() float64 {
	close(p.end)
	p.watcher.Wait()
	return p.highest
}

// SyncsPerSecond measures how many durable appends a second the disk under dir takes from one
// writer: without it no figure of a durable system means anything.
func SyncsPerSecond(dir string) (float64, error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	line := bytes.Repeat([]byte{'x'}, 128)
	begun, n := time.Now(), 0
	for time.Since(begun) < 500*time.Millisecond {
		if _, err := f.Write(line); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}
