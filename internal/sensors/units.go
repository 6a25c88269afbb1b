package sensors

import (
	"math"
	"slices"
)

// Factors of units that are defined by other units.
const (
	inch     = 0.0254               // m, exact
	foot     = 0.3048               // m, exact
	pound    = 0.45359237           // kg, exact
	gravity  = 9.80665              // m/s², standard, exact
	psi      = 68.94757293168361    // hPa: one pound-force on a square inch
	mmHg     = 1.33322387415        // hPa, conventional
	gallon   = 0.003785411784       // m³, US, exact
	cubeFoot = 0.028316846592       // m³, exact
	btu      = 1055.05585262        // J, international table, exact
	horse    = 745.69987158227022   // W, mechanical: 550 ft·lbf/s
	footLbf  = 1.3558179483314004   // N·m
	deg      = math.Pi / 180        // rad
	fc       = 10.76391041670972231 // lx: one lumen on a square foot
)

// quantities are all units that are known. A spelling of UCUM (https://ucum.org/ucum,
// column c/s) is among those of each unit it has a code for. Each row has a test.
var quantities = []quantity{
	{"temperature", []unit{
		{"°C", 0, 1, 1, "Cel degC deg_C C celsius degreeC degreesC degreeCelsius degreesCelsius 摄氏度"},
		{"°F", -32, 5, 9, "[degF] degF F fahrenheit degreeF degreesF degreeFahrenheit degreesFahrenheit 华氏度"},
		{"K", -273.15, 1, 1, "kelvin degK °K 开尔文"},
		{"°R", -491.67, 5, 9, "[degR] degR rankine"},
	}},
	{"ratio", []unit{
		{"%", 0, 1, 1, "percent pct %RH RH% rH %r.H. %VWC vol% %vol %v/v 百分比"},
		{"1", 0, 100, 1, "ratio fraction m3/m3 {ratio}"},
		{"‰", 0, 1, 10, "permille [ppth] ppth"},
		{"ppm", 0, 1, 1e4, "[ppm] ppmv {ppm} umol/mol uL/L mL/m3"},
		{"ppb", 0, 1, 1e7, "[ppb] ppbv {ppb} nmol/mol"},
	}},
	{"pressure", []unit{
		{"hPa", 0, 1, 1, "百帕"},
		{"Pa", 0, 1, 100, "N/m2 帕"},
		{"mPa", 0, 1, 1e5, ""},
		{"kPa", 0, 10, 1, "千帕"},
		{"MPa", 0, 1e4, 1, "N/mm2 兆帕"},
		{"bar", 0, 1000, 1, "巴"},
		{"mbar", 0, 1, 1, "mb millibar"},
		{"psi", 0, psi, 1, "[psi] lbf/in2 [lbf_av]/[in_i]2 lb/in2"},
		{"mmHg", 0, mmHg, 1, "mm[Hg] 毫米汞柱"},
		{"inHg", 0, mmHg * 25.4, 1, "[in_i'Hg] in[Hg] \"Hg"},
		{"Torr", 0, 1013.25, 760, ""},
		{"atm", 0, 1013.25, 1, ""},
		{"at", 0, 980.665, 1, "att kgf/cm2 kg/cm2"},
		{"mmH2O", 0, 0.0980665, 1, "mm[H2O] mmWC mmWG mmAq"},
		{"mH2O", 0, 98.0665, 1, "m[H2O] mWC mWG"},
		{"inH2O", 0, 0.0980665 * 25.4, 1, "[in_i'H2O] in[H2O] inWC inWG"},
	}},
	{"current", []unit{
		{"A", 0, 1, 1, "amp amps ampere amperes 安 安培"},
		{"mA", 0, 1, 1000, "毫安"},
		{"µA", 0, 1, 1e6, ""},
		{"kA", 0, 1000, 1, "千安"},
	}},
	{"voltage", []unit{
		{"V", 0, 1, 1, "volt volts Vac Vdc 伏 伏特"},
		{"mV", 0, 1, 1000, "毫伏"},
		{"µV", 0, 1, 1e6, ""},
		{"kV", 0, 1000, 1, "千伏"},
		{"MV", 0, 1e6, 1, ""},
	}},
	{"power", []unit{
		{"W", 0, 1, 1, "watt watts J/s 瓦"},
		{"mW", 0, 1, 1000, ""},
		{"kW", 0, 1000, 1, "千瓦"},
		{"MW", 0, 1e6, 1, "兆瓦"},
		{"GW", 0, 1e9, 1, ""},
		{"hp", 0, horse, 1, "[HP]"},
		{"PS", 0, 735.49875, 1, ""},
		{"BTU/h", 0, btu, 3600, "[Btu_IT]/h [Btu]/h"},
		{"kcal/h", 0, 4186.8, 3600, "kcal_IT/h"},
	}},
	{"reactive_power", []unit{
		{"var", 0, 1, 1, "vars 乏"},
		{"kvar", 0, 1000, 1, "kvars 千乏"},
		{"Mvar", 0, 1e6, 1, ""},
	}},
	{"apparent_power", []unit{
		{"VA", 0, 1, 1, "V.A 伏安"},
		{"kVA", 0, 1000, 1, "kV.A 千伏安"},
		{"MVA", 0, 1e6, 1, "MV.A"},
	}},
	{"energy", []unit{
		{"Wh", 0, 1, 1, "W.h 瓦时"},
		{"mWh", 0, 1, 1000, "mW.h"},
		{"kWh", 0, 1000, 1, "kW.h 千瓦时 度"},
		{"MWh", 0, 1e6, 1, "MW.h 兆瓦时"},
		{"GWh", 0, 1e9, 1, "GW.h"},
		{"J", 0, 1, 3600, "joule joules W.s 焦"},
		{"mJ", 0, 1, 3.6e6, ""},
		{"kJ", 0, 10, 36, "千焦"},
		{"MJ", 0, 1e4, 36, "兆焦"},
		{"GJ", 0, 1e7, 36, "吉焦"},
		{"kcal", 0, 41868, 36000, "kcal_IT"},
		{"BTU", 0, btu, 3600, "[Btu_IT] [Btu]"},
	}},
	{"reactive_energy", []unit{
		{"varh", 0, 1, 1, "var.h"},
		{"kvarh", 0, 1000, 1, "kvar.h"},
		{"Mvarh", 0, 1e6, 1, "Mvar.h"},
	}},
	{"frequency", []unit{
		{"Hz", 0, 1, 1, "1/s /s s-1 赫兹"},
		{"mHz", 0, 1, 1000, ""},
		{"kHz", 0, 1000, 1, "千赫"},
		{"MHz", 0, 1e6, 1, "兆赫"},
		{"GHz", 0, 1e9, 1, ""},
	}},
	{"rotation", []unit{
		{"rpm", 0, 1, 1, "r/min rev/min 1/min /min min-1 {rpm} {rev}/min U/min 转/分 转/分钟 转每分"},
		{"r/s", 0, 60, 1, "rps rev/s {rev}/s 1/s s-1 Hz 转/秒"},
		{"rad/s", 0, 30, math.Pi, ""},
		{"°/s", 0, 1, 6, "deg/s"},
	}},
	{"speed", []unit{
		{"m/s", 0, 1, 1, "mps 米/秒"},
		{"mm/s", 0, 1, 1000, "毫米/秒"},
		{"cm/s", 0, 1, 100, ""},
		{"µm/s", 0, 1, 1e6, ""},
		{"m/min", 0, 1, 60, ""},
		{"km/h", 0, 10, 36, "kmh kph 公里/小时"},
		{"mm/h", 0, 1, 3.6e6, ""},
		{"in/s", 0, 254, 1e4, "[in_i]/s ips"},
		{"ft/s", 0, 3048, 1e4, "[ft_i]/s fps"},
		{"ft/min", 0, 3048, 6e5, "[ft_i]/min fpm"},
		{"mph", 0, 0.44704, 1, "[mi_i]/h mi/h"},
		{"kn", 0, 1852, 3600, "[kn_i] kt kts knot knots"},
	}},
	{"acceleration", []unit{
		{"m/s²", 0, 1, 1, "m/s2 m.s-2 m/s/s 米/秒²"},
		{"mm/s²", 0, 1, 1000, "mm/s2"},
		{"g", 0, gravity, 1, "[g] gn g0"},
		{"mg", 0, gravity, 1000, "m[g]"},
		{"cm/s²", 0, 1, 100, "cm/s2 Gal"},
		{"ft/s²", 0, foot, 1, "[ft_i]/s2"},
	}},
	{"flow", []unit{
		{"m³/h", 0, 1, 1, "m3/h m3/hr m3h cbm/h 立方米/小时 方/小时"},
		{"m³/min", 0, 60, 1, "m3/min"},
		{"m³/s", 0, 3600, 1, "m3/s"},
		{"m³/d", 0, 1, 24, "m3/d m3/day"},
		{"L/h", 0, 1, 1000, "l/h L/hr lph 升/小时"},
		{"L/min", 0, 6, 100, "l/min lpm L/m 升/分 升/分钟"},
		{"L/s", 0, 36, 10, "l/s lps 升/秒"},
		{"mL/min", 0, 6, 1e5, "ml/min"},
		{"gpm", 0, gallon * 60, 1, "[gal_us]/min gal/min USgpm"},
		{"gph", 0, gallon, 1, "[gal_us]/h gal/h"},
		{"ft³/min", 0, cubeFoot * 60, 1, "[cft_i]/min [ft_i]3/min ft3/min cfm"},
		{"ft³/h", 0, cubeFoot, 1, "[cft_i]/h [ft_i]3/h ft3/h cfh"},
	}},
	{"normal_flow", []unit{ // gas at 0 °C and 1013.25 hPa (DIN 1343)
		{"Nm³/h", 0, 1, 1, "Nm3/h Nm3/hr m3(N)/h m3n/h 标方/小时"},
		{"NL/min", 0, 6, 100, "Nl/min NLPM"},
		{"NL/h", 0, 1, 1000, "Nl/h"},
	}},
	{"volume", []unit{
		{"m³", 0, 1, 1, "m3 cbm 立方米 方"},
		{"L", 0, 1, 1000, "l liter liters litre litres 升"}, //nolint:misspell // what American devices write
		{"mL", 0, 1, 1e6, "ml"},
		{"ML", 0, 1000, 1, "Ml"},
		{"gal", 0, gallon, 1, "[gal_us]"},
		{"ft³", 0, cubeFoot, 1, "[cft_i] [ft_i]3 ft3"},
	}},
	{"length", []unit{
		{"m", 0, 1, 1, "meter meters metre metres 米"},
		{"mm", 0, 1, 1000, "millimeter millimeters millimetre millimetres 毫米"}, //nolint:misspell // what American devices write
		{"cm", 0, 1, 100, "centimeter centimeters centimetre centimetres 厘米"},  //nolint:misspell // what American devices write
		{"km", 0, 1000, 1, "公里 千米"},
		{"µm", 0, 1, 1e6, "micron microns 微米"},
		{"in", 0, inch, 1, "[in_i] inch inches"},
		{"ft", 0, foot, 1, "[ft_i] foot feet"},
		{"mil", 0, inch, 1000, "[mil_i] mils"},
	}},
	{"mass", []unit{
		{"kg", 0, 1, 1, "kgs kilogram kilograms 千克 公斤"},
		{"g", 0, 1, 1000, "gram grams 克"},
		{"mg", 0, 1, 1e6, ""},
		{"t", 0, 1000, 1, "Mg tonne tonnes 吨"},
		{"lb", 0, pound, 1, "[lb_av] lbs"},
		{"oz", 0, pound, 16, "[oz_av]"},
	}},
	{"force", []unit{
		{"N", 0, 1, 1, "newton newtons 牛"},
		{"kN", 0, 1000, 1, "千牛"},
		{"lbf", 0, pound * gravity, 1, "[lbf_av]"},
		{"kgf", 0, gravity, 1, "公斤力"},
	}},
	{"torque", []unit{
		{"N·m", 0, 1, 1, "N.m Nm N-m 牛米 牛·米"},
		{"mN·m", 0, 1, 1000, "mN.m mNm"},
		{"kN·m", 0, 1000, 1, "kN.m kNm"},
		{"kgf·m", 0, gravity, 1, "kgf.m"},
		{"lbf·ft", 0, footLbf, 1, "[lbf_av].[ft_i] lbf.ft ft.lbf lb-ft ft-lb ft.lb lb.ft"},
		{"lbf·in", 0, footLbf, 12, "[lbf_av].[in_i] lbf.in in.lbf lb-in in-lb"},
	}},
	{"concentration", []unit{ // in air
		{"µg/m³", 0, 1, 1, "ug/m3 微克/立方米"},
		{"ng/m³", 0, 1, 1000, "ng/m3"},
		{"mg/m³", 0, 1000, 1, "mg/m3 毫克/立方米"},
		{"g/m³", 0, 1e6, 1, "g/m3"},
	}},
	{"solution", []unit{ // in water, of which a litre has a kilogram
		{"mg/L", 0, 1, 1, "mg/l mg/dm3 g/m3 ppm [ppm] 毫克/升"},
		{"µg/L", 0, 1, 1000, "ug/L ug/l ppb [ppb] mg/m3"},
		{"g/L", 0, 1000, 1, "g/l kg/m3"},
	}},
	{"conductivity", []unit{
		{"µS/cm", 0, 1, 1, "uS/cm 微西/厘米"},
		{"mS/cm", 0, 1000, 1, "dS/m"},
		{"S/cm", 0, 1e6, 1, ""},
		{"mS/m", 0, 10, 1, ""},
		{"S/m", 0, 1e4, 1, ""},
	}},
	{"turbidity", []unit{{"NTU", 0, 1, 1, "FNU FTU {NTU} {FNU} [NTU]"}}},
	{"acidity", []unit{{"pH", 0, 1, 1, "[pH] {pH} 1"}}},
	{"illuminance", []unit{
		{"lx", 0, 1, 1, "lux lm/m2 勒克斯"},
		{"klx", 0, 1000, 1, "klux"},
		{"fc", 0, fc, 1, "lm/ft2 footcandle"},
	}},
	{"irradiance", []unit{
		{"W/m²", 0, 1, 1, "W/m2"},
		{"kW/m²", 0, 1000, 1, "kW/m2"},
	}},
	{"sound", []unit{{"dB", 0, 1, 1, "dBA dB(A) dB(C) dBC dB[SPL] dB(SPL) 分贝"}}},
	{"signal", []unit{{"dBm", 0, 1, 1, "dB[mW] dB(mW)"}}},
	{"angle", []unit{
		{"°", 0, 1, 1, "deg degree degrees 度"},
		{"rad", 0, 1, deg, ""},
		{"gon", 0, 9, 10, "grad"},
	}},
	{"time", []unit{
		{"s", 0, 1, 1, "sec second seconds 秒"},
		{"ms", 0, 1, 1000, "毫秒"},
		{"min", 0, 60, 1, "minute minutes 分 分钟"},
		{"h", 0, 3600, 1, "hr hrs hour hours 小时"},
		{"d", 0, 86400, 1, "day days 天"},
	}},
	{"dose_rate", []unit{
		{"µSv/h", 0, 1, 1, "uSv/h 微希/小时"},
		{"nSv/h", 0, 1, 1000, ""},
		{"mSv/h", 0, 1000, 1, ""},
	}},
	{"explosive", []unit{{"%LEL", 0, 1, 1, "LEL %LFL LFL"}}},
	{"factor", []unit{
		{"1", 0, 1, 1, "cosφ cosphi ratio {ratio} 10*0"},
		{"%", 0, 1, 100, "percent"},
	}},
}

// molarVolume is that of an ideal gas at 25 °C and 1013.25 hPa in L/mol, the reference
// state of GB 3095 (amendment of 2018) and of most instruments: 1 ppm of a gas of molar
// mass M is M/molarVolume mg/m³.
const molarVolume = 24.4654

// gas returns the units of ratio and of concentration for a gas of a molar mass in g/mol.
func gas(molarMass float64) *quantity {
	q := &quantity{name: "gas", units: slices.Clone(quantityNamed("ratio").units)}
	for _, u := range quantityNamed("concentration").units { // via ppm, which is 1e-4 %
		u.mul, u.div = u.mul*molarVolume, u.div*molarMass*1000*1e4
		q.units = append(q.units, u)
	}
	return q
}

// quantityNamed returns a quantity of the table; nil when there is none.
func quantityNamed(name string) *quantity {
	for i := range quantities {
		if quantities[i].name == name {
			return &quantities[i]
		}
	}
	return nil
}
