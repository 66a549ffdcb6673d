package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// IdleFigures are what a product costs that has nothing to do; one JSON line.
type IdleFigures struct {
	What        string             `json:"what"`
	Store       string             `json:"store"`
	Tenants     int                `json:"tenants"`
	Outcomes    int                `json:"outcomes"`
	Poll        string             `json:"poll"`      // how often each flow asks; "": never
	Ready       float64            `json:"ready_s"`   // from its start until it answers
	Settled     float64            `json:"settled_s"` // until what was due at the start is done
	RSS         float64            `json:"rss_mib"`   // at the end
	CPU         float64            `json:"cpu_share"` // of one core, over the span
	DatabaseCPU float64            `json:"db_cpu_share"`
	Span        float64            `json:"span_s"`
	Binary      float64            `json:"binary_mib"`
	Pages       map[string]float64 `json:"page_p95_ms"` // the lists of all tenants, by what they list
}

// Idle is what is measured, and with what.
type Idle struct {
	Tenants, Outcomes int
	Poll, Span        time.Duration
	Start             func(ctx context.Context) (*Process, error)
	Key               string // of the API
	Names             []string
}

const (
	calm      = 0.03 // of a core: less is idle
	calmLimit = 5 * time.Minute
	pageLimit = 200 // tenants whose lists are read
)

// MeasureIdle starts a product on a filled ledger and measures what it costs when nothing happens.
func MeasureIdle(ctx context.Context, s *Stage, o Idle) (IdleFigures, error) {
	out := IdleFigures{What: "idle", Store: s.StoreName(), Tenants: o.Tenants, Outcomes: o.Outcomes, Span: o.Span.Seconds(), Pages: map[string]float64{}}
	if o.Poll > 0 {
		out.Poll = o.Poll.String()
	}
	info, err := os.Stat(s.Program)
	if err != nil {
		return out, err
	}
	out.Binary = round(float64(info.Size()) / (1 << 20))
	begun := time.Now()
	p, err := o.Start(ctx)
	if err != nil {
		return out, err
	}
	defer p.Kill()
	if err := isWell(ctx, p.Ready.URL); err != nil {
		return out, err
	}
	out.Ready = round(time.Since(begun).Seconds())
	if err := settled(ctx, p); err != nil {
		return out, err
	}
	out.Settled = round(time.Since(begun).Seconds())
	cpu, database := cpuOf(p.Ready.PIDs), cpuOf(s.Databases())
	if err := pause(ctx, o.Span); err != nil {
		return out, err
	}
	out.CPU = round((cpuOf(p.Ready.PIDs) - cpu) / o.Span.Seconds())
	out.DatabaseCPU = round((cpuOf(s.Databases()) - database) / o.Span.Seconds())
	out.RSS = round(rss(p.Ready.PIDs))
	return out, pages(ctx, p.Ready.URL, o, out.Pages)
}

// isWell waits until the product says that it is well.
func isWell(ctx context.Context, url string) error {
	for end := time.Now().Add(startLimit); time.Now().Before(end); {
		resp, err := http.Get(url + "/healthz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusNoContent {
				return nil
			}
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s does not answer within %s", url, startLimit)
}

// settled waits until the process has done what was due at its start.
func settled(ctx context.Context, p *Process) error {
	for end := time.Now().Add(calmLimit); time.Now().Before(end); {
		before := cpuOf(p.Ready.PIDs)
		if err := pause(ctx, 3*time.Second); err != nil {
			return err
		}
		if (cpuOf(p.Ready.PIDs)-before)/3 < calm {
			return nil
		}
	}
	return nil // it is never calm: the figure says so
}

// pages reads the lists that people look at, of many tenants, and how long they take.
func pages(ctx context.Context, url string, o Idle, out map[string]float64) error {
	for name, path := range map[string]string{"runs": "/v1/customers/%s/runs", "runs_parked": "/v1/customers/%s/runs?state=parked",
		"runs_of_flow": "/v1/customers/%s/runs?flow=deals&limit=200", "work": "/v1/customers/%s/work", "exceptions": "/v1/customers/%s/exceptions", "causes": "/v1/customers/%s/exceptions/causes"} {
		var took []time.Duration
		for _, tenant := range o.Names[:min(len(o.Names), pageLimit)] {
			at := path
			if strings.Contains(path, "%s") {
				at = fmt.Sprintf(path, tenant)
			}
			begun := time.Now()
			if err := read(ctx, url+at, o.Key); err != nil {
				return err
			}
			took = append(took, time.Since(begun))
		}
		out[name] = percentile(took, .95)
	}
	return nil
}

func read(ctx context.Context, url, key string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var list struct{ Items []json.RawMessage }
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(&list)
}

// Ledger is where the product of the stage keeps its store: the folder, and a URL where it is no file.
func (s *Stage) Ledger() (folder, url string) {
	if s.schema != nil {
		url = s.schema.URL
	}
	return filepath.Join(s.Dir, "data"), url
}
