package egress

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestRedactHeader(t *testing.T) {
	got := RedactHeader(http.Header{"Authorization": {"Bearer x"}, "X-Api-Key": {"k"}, "Set-Cookie": {"a", "b"}, "Accept": {"application/json"}})
	want := http.Header{"Authorization": {mask}, "X-Api-Key": {mask}, "Set-Cookie": {mask}, "Accept": {"application/json"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestRedactBody(t *testing.T) {
	for _, c := range []struct{ name, kind, in, want string }{
		{"secrets at every level of JSON", "application/json; charset=utf-8", `{"access_token":"CANARY","a":[{"clientSecret":{"v":"CANARY"},"key":"PROJ-1"}]}`, `{"a":[{"clientSecret":"•••","key":"PROJ-1"}],"access_token":"•••"}`},
		{"a form", "application/x-www-form-urlencoded", "grant_type=password&pass%77ord=CANARY&code=CANARY", "grant_type=password&pass%77ord=•••&code=•••"},
		{"a bare token", "application/json", `"CANARY"`, "(8 bytes)"},
		{"what is not JSON", "text/html", "<p>CANARY</p>", "(13 bytes)"},
		{"nothing", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := RedactBody(c.kind, []byte(c.in)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestRedactURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://a.example/x?page=2&api_key=CANARY":    "https://a.example/x?page=2&api_key=•••",
		"https://me:CANARY@a.example/?key=CANARY#frag": "https://xxx@a.example/?key=•••",
	} {
		if got := RedactURL(in); got != want || strings.Contains(got, "CANARY") {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
