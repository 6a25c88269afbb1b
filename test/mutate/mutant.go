package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// mutant is one fault: the bytes from start to end of a file are replaced.
type mutant struct {
	file       string // relative to the module
	line       int
	function   string // name or (*Type).name
	change     string // the line before and after, or what was removed
	start, end int
	with       string
	at         token.Position // the coverage block of this position executes it
}

// String names the mutant the way accepted.txt does, but for the line.
func (m mutant) String() string { return fmt.Sprintf("%s:%d: %s", m.file, m.line, m.key()) }

// key identifies the mutant within its file while lines move.
func (m mutant) key() string { return m.function + ": " + m.change }

// apply returns the source with the fault in it.
func (m mutant) apply(source []byte) []byte {
	return slices.Concat(source[:m.start], []byte(m.with), source[m.end:])
}

// operators are the replacements of binary operators. A comparison gets two: at its
// boundary and reversed.
var operators = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL},
	token.REM: {token.MUL}, token.AND: {token.OR}, token.OR: {token.AND}, token.SHL: {token.SHR}, token.SHR: {token.SHL},
	token.ADD_ASSIGN: {token.SUB_ASSIGN}, token.SUB_ASSIGN: {token.ADD_ASSIGN}, token.OR_ASSIGN: {token.AND_ASSIGN},
	token.INC: {token.DEC}, token.DEC: {token.INC},
}

// quiet are methods whose calls are not removed: no test should depend on a log line, and
// without a lock most tests hang or pass by luck.
var quiet = map[string]bool{
	"Debug": true, "Info": true, "Warn": true, "Error": true, "Log": true, "LogAttrs": true,
	"Lock": true, "Unlock": true, "RLock": true, "RUnlock": true,
}

// finder collects the mutants of one file.
type finder struct {
	file    string
	source  []byte
	fset    *token.FileSet
	mutants []mutant

	function string
	results  *ast.FieldList // of the function literal or declaration around
	covered  []span         // see coverAt
}

// span is a range that a coverage profile does not name; at is executed with it.
type span struct{ from, to, at token.Pos }

// find returns the mutants of a file in the order of their place.
func find(file string, source []byte) ([]mutant, error) {
	f := finder{file: file, source: source, fset: token.NewFileSet()}
	parsed, err := parser.ParseFile(f.fset, file, source, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(parsed) {
		return nil, nil
	}
	for _, decl := range parsed.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			f.function, f.results = nameOf(fn), fn.Type.Results
			ast.Inspect(fn.Body, f.visit)
		}
	}
	slices.SortStableFunc(f.mutants, func(a, b mutant) int { return cmp.Compare(a.start, b.start) })
	return f.mutants, nil
}

func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	t, star := fn.Recv.List[0].Type, ""
	if p, ok := t.(*ast.StarExpr); ok {
		t, star = p.X, "*"
	}
	if g, ok := t.(*ast.IndexExpr); ok { // a generic type
		t = g.X
	}
	name, _ := t.(*ast.Ident)
	return fmt.Sprintf("(%s%s).%s", star, name, fn.Name.Name)
}

// visit is called for each node of a function.
func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncLit:
		outer := f.results
		f.results = n.Type.Results
		ast.Inspect(n.Body, f.visit)
		f.results = outer
		return false
	case *ast.SwitchStmt:
		f.uncounted(n, n.Body)
	case *ast.SelectStmt:
		f.uncounted(n, n.Body)
	case *ast.BinaryExpr:
		if !isString(n.X) && !isString(n.Y) {
			f.operator(n.OpPos, n.Op)
		}
	case *ast.CallExpr:
		return called(n) != "make" // only capacities
	case *ast.IncDecStmt:
		f.operator(n.TokPos, n.Tok)
	case *ast.AssignStmt:
		f.assignment(n)
	case *ast.IfStmt:
		f.condition(n)
	case *ast.Ident:
		f.constant(n)
	case *ast.BasicLit:
		f.number(n)
	case *ast.ReturnStmt:
		f.failure(n)
	case *ast.BranchStmt:
		f.branch(n)
	case *ast.ExprStmt:
		if call, ok := n.X.(*ast.CallExpr); ok && !quiet[called(call)] {
			f.remove(n)
		}
	case *ast.SendStmt:
		f.remove(n)
	}
	return true
}

// uncounted remembers that the conditions of a switch or select are executed with the
// statement itself: the profile counts only the bodies of its cases.
func (f *finder) uncounted(statement ast.Stmt, body *ast.BlockStmt) {
	for _, c := range body.List {
		switch c := c.(type) {
		case *ast.CaseClause:
			f.covered = append(f.covered, span{c.Pos(), c.Colon, statement.Pos()})
		case *ast.CommClause:
			f.covered = append(f.covered, span{c.Pos(), c.Colon, statement.Pos()})
		}
	}
}

func (f *finder) coverAt(pos token.Pos) token.Position {
	for _, s := range slices.Backward(f.covered) {
		if s.from <= pos && pos < s.to {
			pos = s.at
		}
	}
	return f.fset.Position(pos)
}

// replace adds a mutant; at is a position that is executed with it.
func (f *finder) replace(from, to token.Pos, with string, at token.Pos) {
	m := mutant{
		file: f.file, line: f.fset.Position(from).Line, function: f.function, with: with,
		start: f.fset.Position(from).Offset, end: f.fset.Position(to).Offset, at: f.coverAt(at),
	}
	first := bytes.LastIndexByte(f.source[:m.start], '\n') + 1
	line, _, _ := strings.Cut(string(f.source[first:]), "\n")
	changed, _, _ := strings.Cut(string(m.apply(f.source)[first:]), "\n")
	line, changed = strings.TrimSpace(line), strings.TrimSpace(changed)
	m.change = line + " → " + changed
	f.mutants = append(f.mutants, m)
}

// remove adds a mutant without a statement.
func (f *finder) remove(n ast.Stmt) {
	f.replace(n.Pos(), n.End(), "", n.Pos())
	text, _, more := strings.Cut(string(f.source[f.fset.Position(n.Pos()).Offset:f.fset.Position(n.End()).Offset]), "\n")
	if more {
		text += "…"
	}
	f.mutants[len(f.mutants)-1].change = "removed " + text
}

func (f *finder) operator(pos token.Pos, op token.Token) {
	for _, with := range operators[op] {
		f.replace(pos, pos+token.Pos(len(op.String())), with.String(), pos)
	}
}

// assignment is left out when it goes to a field, an element or what a pointer refers to:
// without a variable's only assignment nothing compiles.
func (f *finder) assignment(n *ast.AssignStmt) {
	f.operator(n.TokPos, n.Tok)
	if n.Tok != token.ASSIGN {
		return
	}
	for _, left := range n.Lhs {
		switch left := left.(type) {
		case *ast.SelectorExpr, *ast.IndexExpr, *ast.StarExpr:
		case *ast.Ident:
			if left.Name != "_" {
				continue
			}
			return
		default:
			return
		}
	}
	f.remove(n)
}

// condition reverses a condition that is no comparison, and drops what else does.
func (f *finder) condition(n *ast.IfStmt) {
	switch c := n.Cond.(type) {
	case *ast.BinaryExpr: // its operator is replaced
	case *ast.UnaryExpr:
		f.replace(c.Pos(), c.X.Pos(), "", c.Pos())
	default:
		f.replace(c.Pos(), c.End(), "!("+string(f.source[f.fset.Position(c.Pos()).Offset:f.fset.Position(c.End()).Offset])+")", c.Pos())
	}
	if n.Else == nil {
		return
	}
	at := n.Else.Pos()
	if block, ok := n.Else.(*ast.BlockStmt); ok {
		if len(block.List) == 0 {
			return
		}
		at = block.List[0].Pos()
	}
	f.replace(n.Body.End(), n.Else.End(), "", at)
	f.mutants[len(f.mutants)-1].change = "dropped else of if " + string(f.source[f.fset.Position(n.Cond.Pos()).Offset:f.fset.Position(n.Cond.End()).Offset])
}

func (f *finder) constant(n *ast.Ident) {
	switch n.Name {
	case "true":
		f.replace(n.Pos(), n.End(), "false", n.Pos())
	case "false":
		f.replace(n.Pos(), n.End(), "true", n.Pos())
	}
}

// number adds one to a whole number, unless it is a duration: waiting a little
// longer is no fault.
func (f *finder) number(n *ast.BasicLit) {
	if n.Kind != token.INT || bytes.HasPrefix(bytes.TrimLeft(f.source[f.fset.Position(n.End()).Offset:], " *"), []byte("time.")) {
		return
	}
	if v, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
		f.replace(n.Pos(), n.End(), strconv.FormatInt(v+1, 10), n.Pos())
	}
}

// failure makes a function that fails report success.
func (f *finder) failure(n *ast.ReturnStmt) {
	if f.results == nil || len(n.Results) == 0 || len(n.Results) != f.results.NumFields() {
		return
	}
	kind, _ := f.results.List[len(f.results.List)-1].Type.(*ast.Ident)
	last := n.Results[len(n.Results)-1]
	if id, ok := last.(*ast.Ident); kind == nil || kind.Name != "error" || ok && id.Name == "nil" {
		return
	}
	f.replace(last.Pos(), last.End(), "nil", last.Pos())
}

func (f *finder) branch(n *ast.BranchStmt) {
	switch n.Tok {
	case token.BREAK:
		f.replace(n.TokPos, n.TokPos+5, "continue", n.Pos())
	case token.CONTINUE:
		f.replace(n.TokPos, n.TokPos+8, "break", n.Pos())
	default:
	}
}

func isString(n ast.Expr) bool {
	lit, ok := n.(*ast.BasicLit)
	return ok && lit.Kind == token.STRING
}

// called returns the name of the called function or method.
func called(call *ast.CallExpr) string {
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		return fn.Name
	case *ast.SelectorExpr:
		return fn.Sel.Name
	}
	return ""
}
