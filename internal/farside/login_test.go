package farside_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"throughline/internal/farside"
	"throughline/internal/oracle"
)

// refresh shows a refresh token and says with which access token and which next one it is answered.
func refresh(t *testing.T, url, shown string) (access, next string, status int) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), "POST", url+"/north/token", strings.NewReader("grant_type=refresh_token&refresh_token="+shown))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var given struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&given); err != nil {
		t.Fatal(err)
	}
	return given.Access, given.Refresh, resp.StatusCode
}

// search shows an access token.
func search(t *testing.T, url, access string) int {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), "GET", url+"/north/time/projects?externalId=t1", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+access)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// TestATokenHoldsUntilWhatFollowedItWasShown: an answer that did not arrive can be asked for again. What was shown
// makes the old token worthless, and who shows it then loses the consent.
func TestATokenHoldsUntilWhatFollowedItWasShown(t *testing.T) {
	url, _ := open(t)
	unheard, _, status := refresh(t, url, "refresh-0")
	access, next, again := refresh(t, url, "refresh-0")
	if status != 200 || again != 200 || access == unheard {
		t.Fatalf("asked twice: %d %s, %d %s", status, unheard, again, access)
	}
	if search(t, url, unheard) != 401 || search(t, url, access) != 200 {
		t.Error("want the newest access token to be good, and no other")
	}
	if _, _, status := refresh(t, url, "refresh-0"); status != 400 {
		t.Errorf("the old token, after the new one was shown, is answered %d", status)
	}
	if _, _, status := refresh(t, url, next); status != 400 || search(t, url, access) != 401 {
		t.Errorf("the consent is lost, and the next token is answered %d", status)
	}
	var stats farside.Stats
	if err := json.Unmarshal([]byte(must(t, "GET", url+"/stats", "")), &stats); err != nil || stats.Revoked != 1 || stats.Calls[farside.Login].Calls != 2 {
		t.Errorf("stats are %+v, %v", stats, err)
	}
}

func TestATokenDoesNotLast(t *testing.T) {
	url, _ := open(t)
	access, next, _ := refresh(t, url, "refresh-0")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); search(t, url, access) != 401; <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it lasts")
		}
	}
	if access, _, status := refresh(t, url, next); status != 200 || search(t, url, access) != 200 {
		t.Errorf("the next one is answered %d", status)
	}
}

// TestABatchMakesEachOfThem, as the ledger has it.
func TestABatchMakesEachOfThem(t *testing.T) {
	url, ledger := open(t)
	answer := must(t, "POST", url+"/north/time/projects/batch", `{"items":[{"name":"Platform rollout north/1/0","externalId":"t1"},{"name":"Platform rollout north/2/0","externalId":"t2"}]}`)
	var made []struct{ ID, ExternalID string }
	if err := json.Unmarshal([]byte(answer), &made); err != nil || len(made) != 2 || made[1].ExternalID != "t2" || made[0].ID == made[1].ID {
		t.Errorf("answered %s, %v", answer, err)
	}
	effects, err := oracle.ReadLedger[oracle.Effect](ledger)
	if err != nil || len(effects) != 2 || effects[0].Op != oracle.Create || effects[1].Key != "2" || effects[1].Entity != farside.TimeWork {
		t.Errorf("the ledger has %+v, %v", effects, err)
	}
}
