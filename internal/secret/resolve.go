package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"throughline/internal/exact"
	"throughline/internal/hub"
)

// maxReferred bounds the file that a reference may name.
const maxReferred = 1 << 20

// Resolve reads the secret that a reference names, a JSON object: "env:NAME" or "file:PATH". It is
// for what the operator writes; a reference that came from a customer must never get here. Errors
// name the reference, never the secret.
func Resolve(ref string) ([]byte, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch kind {
	case "env":
		if v, ok := os.LookupEnv(name); ok {
			return object(ref, []byte(v))
		}
		return nil, &hub.Error{Kind: hub.Invalid, Code: "secret.missing", Message: fmt.Sprintf("The environment has no %s.", name), Hint: "Set it where the service runs, and start that anew."}
	case "file":
		data, err := readFile(name)
		if err != nil {
			return nil, &hub.Error{Kind: hub.Invalid, Code: "secret.missing", Message: fmt.Sprintf("The file %s cannot be read.", name), Hint: "Check the path, as it is where the service runs, and that the service may read it.", Err: err}
		}
		return object(ref, data)
	}
	// The text is not repeated: who misses the form has often pasted the secret itself.
	return nil, &hub.Error{Kind: hub.Invalid, Code: "secret.reference", Message: "This is no reference to a secret.", Hint: "Write env:NAME or file:PATH; never the secret itself."}
}

func readFile(name string) (data []byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if data, err = io.ReadAll(io.LimitReader(f, maxReferred+1)); err != nil {
		return nil, err
	}
	if len(data) > maxReferred {
		return nil, fmt.Errorf("more than %d bytes", maxReferred)
	}
	return data, nil
}

// object keeps every number as it is written: account numbers are longer than a float.
func object(ref string, data []byte) ([]byte, error) {
	v, err := exact.DecodeJSON(data)
	m, is := v.(map[string]any)
	if err != nil || !is {
		return nil, &hub.Error{Kind: hub.Invalid, Code: "secret.shape", Message: fmt.Sprintf("What %s holds is no JSON object.", ref), Hint: `Write it like {"token": "…"}.`}
	}
	return exact.AppendJSON(nil, m)
}
