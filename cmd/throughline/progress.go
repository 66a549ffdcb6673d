package main

import (
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress is a bar on a terminal; elsewhere it is nothing. What is written to it stands above the bar.
type progress struct {
	io.Writer
	out  *os.File
	bars *mpb.Progress
	bar  *mpb.Bar
}

// newProgress shows how far work has come that takes a while, on the terminal that out may be.
func newProgress(out *os.File, what string) *progress {
	info, err := out.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{Writer: out, out: out}
	}
	bars := mpb.New(mpb.WithOutput(out), mpb.WithWidth(40))
	bar := bars.AddBar(0, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name(what+"  ")),
		mpb.AppendDecorators(decor.CountersNoUnit("%d of %d"), decor.Elapsed(decor.ET_STYLE_GO, decor.WCSyncSpace)))
	return &progress{bars, out, bars, bar}
}

// reached says that so many of all are done.
func (p *progress) reached(done, all int) {
	if p.bar == nil {
		return
	}
	p.bar.SetTotal(int64(all), false)
	p.bar.SetCurrent(int64(done))
}

// end takes the bar away; what is written afterwards goes to the terminal as it is.
func (p *progress) end() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(true)
	p.bars.Wait()
	p.Writer, p.bar = p.out, nil
}
