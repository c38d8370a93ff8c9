package compile

// Compile is filled in next.
func Compile(w World) (Plan, []Problem) { return Plan{}, nil }
