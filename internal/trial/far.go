package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"throughline/internal/farside"
)

// far is the far side as the trial sees it.
type far struct {
	url    string
	client *http.Client
}

func newFar(url string) *far {
	return &far{url, &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

func (f *far) stats(ctx context.Context) (farside.Stats, error) {
	var s farside.Stats
	err := f.do(ctx, http.MethodGet, "/stats", nil, &s)
	return s, err
}

func (f *far) reset(ctx context.Context) error {
	return f.do(ctx, http.MethodPost, "/reset", nil, nil)
}

func (f *far) faults(ctx context.Context, p farside.Plan) error {
	return f.do(ctx, http.MethodPost, "/faults", p, nil)
}

func (f *far) version(ctx context.Context, v farside.Version) error {
	return f.do(ctx, http.MethodPost, "/versions", v, nil)
}

// do makes one call; into may be nil.
func (f *far) do(ctx context.Context, method, path string, send, into any) error {
	var body io.Reader
	if send != nil {
		data, err := json.Marshal(send)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	q, err := http.NewRequestWithContext(ctx, method, f.url+path, body)
	if err != nil {
		return err
	}
	resp, err := f.client.Do(q)
	if err != nil {
		return fmt.Errorf("far side: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("far side: %s %s: %s", method, path, resp.Status)
	}
	if into != nil {
		return json.NewDecoder(resp.Body).Decode(into)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
