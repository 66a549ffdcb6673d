package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// maxAnswer bounds what is read of an answer; what is longer is no answer of ours.
const maxAnswer = 64 << 20

// Do sends one request to the API and decodes the answer. A problem comes back as an error that
// says what to do.
func (c *Client) Do(ctx context.Context, method, path, contentType string, body []byte, into any) error {
	if err := c.check(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Key)
	req.Header.Set("Content-Type", contentType)
	res, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("the server at %s does not answer; is `throughline serve` running there? %w", c.Server, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return told(res.StatusCode, data)
	}
	return json.Unmarshal(data, into)
}

func told(status int, data []byte) error {
	var p huma.ErrorModel
	if err := json.Unmarshal(data, &p); err != nil || p.Title == "" {
		return fmt.Errorf("the server answered %d: %s", status, data)
	}
	text := p.Title
	for _, e := range p.Errors {
		text = e.Message + ": " + text
	}
	if p.Detail != "" {
		text += "\n" + p.Detail
	}
	return fmt.Errorf("%s", text)
}
