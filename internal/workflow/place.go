package workflow

import (
	"fmt"

	"throughline/internal/hub"
)

// Packages looks service packages up for expressions: service_package(code).
type Packages func(code string) (map[string]any, bool)

// Place is where a template's expressions are evaluated.
type Place struct {
	Packages Packages
	Values   map[string]map[string]string // the tenant's value maps
	Rates    *Rates
}

func callPackage(at any, args []any) (any, error) {
	code, _ := args[0].(string)
	if code == "" {
		return nil, nil
	}
	if p, ok := at.(*Place).Packages(code); ok {
		return p, nil
	}
	return nil, &hub.Error{Kind: hub.Invalid, Code: "package.unknown", Field: "package", Message: fmt.Sprintf("Nobody has said what work the package %q is.", code),
		Hint: "Add it to the customer's packages, or map it to one of them (values, service_package), then retry."}
}

// callValue maps by the tenant's own list; what it does not name stays what it is.
func callValue(at any, args []any) (any, error) {
	name, _ := args[0].(string)
	v, _ := args[1].(string)
	if to, ok := at.(*Place).Values[name][v]; ok {
		return to, nil
	}
	return args[1], nil
}
