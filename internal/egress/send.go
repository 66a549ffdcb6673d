package egress

import (
	"context"
	"net/http"
)

// Send is Do in the form in which package remote calls it: one value per header.
func (c *Client) Send(ctx context.Context, method, url string, header map[string]string, body []byte, hostSuffix string) (int, http.Header, []byte, error) {
	h := make(http.Header, len(header))
	for name, value := range header {
		h.Set(name, value)
	}
	answer, err := c.Do(ctx, Request{Method: method, URL: url, Header: h, Body: body, HostSuffix: hostSuffix})
	if err != nil {
		return 0, nil, nil, err
	}
	return answer.Status, answer.Header, answer.Body, nil
}
