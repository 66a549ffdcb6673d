package expr

import (
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"
)

// Type is the type of an expression or a variable.
type Type struct{ cel *cel.Type }

// arithmetics says which of the standard operators a value type takes part in.
const arithmetics = traits.AdderType | traits.SubtractorType | traits.MultiplierType | traits.NegatorType | traits.ComparerType

// The types. Dyn is what JSON of unknown shape has: checked when it is read, not before.
var (
	Dyn     = Type{cel.DynType}
	Bool    = Type{cel.BoolType}
	Int     = Type{cel.IntType}
	Text    = Type{cel.StringType}
	Instant = Type{cel.TimestampType}

	Decimal = Type{types.NewObjectType("decimal", arithmetics)}
	Money   = Type{types.NewObjectType("money", arithmetics)}
	Date    = Type{types.NewObjectType("date", arithmetics)}
	Seconds = Type{types.NewObjectType("seconds", arithmetics)}
)

var nullType = Type{cel.NullType}

// List is a list of t.
func List(t Type) Type { return Type{cel.ListType(t.cel)} }

// Map is a map from text to t.
func Map(t Type) Type { return Type{cel.MapType(cel.StringType, t.cel)} }

// Object is the declared object type with this name (see Objects).
func Object(name string) Type { return Type{cel.ObjectType(name)} }

// Ref is a reference to a record of the given type: not its text, so the two cannot be mixed up.
func Ref(record string) Type { return Type{cel.OpaqueType("ref", cel.ObjectType("@"+record))} }

// AnyRef stands for a reference to a record of whatever type, as the argument of a function.
var AnyRef = Type{cel.OpaqueType("ref", cel.TypeParamType("R"))}

func (t Type) String() string {
	if t.cel == nil {
		return "nothing"
	}
	return words.Replace(t.cel.String())
}

// words puts CEL's names for types into those of our files.
var words = strings.NewReplacer("google.protobuf.Timestamp", "instant", "timestamp", "instant", "string", "text", "ref(@", "reference to (", "null_type", "null")

// Zero reports whether the type was left out.
func (t Type) Zero() bool { return t.cel == nil }

// accepts reports whether a value of type got may stand where t is wanted. A map may stand for an
// object: which fields it has shows when the record is checked.
func (t Type) accepts(got *cel.Type) bool {
	return accepts(t.cel, got)
}

func accepts(want, got *cel.Type) bool {
	switch got.Kind() {
	case types.DynKind, types.NullTypeKind, types.TypeParamKind:
		return true
	case types.MapKind:
		if want.Kind() == types.StructKind && !want.HasTrait(arithmetics) {
			return true
		}
	case types.ListKind:
		if want.Kind() == types.ListKind {
			return accepts(want.Parameters()[0], got.Parameters()[0])
		}
	}
	return want.IsAssignableType(got)
}
