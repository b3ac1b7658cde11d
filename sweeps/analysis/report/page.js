// The charts of the report, drawn by ECharts as SVG from the JSON in this page. Nothing is requested from anywhere.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const column = Object.fromEntries(data.columns.map((name, index) => [name, index]));
  const RAMP = ["#30123b", "#3e4c8a", "#2a788e", "#22a884", "#7ad151", "#fde725"].map((c, i) => (i === 0 ? "#440154" : c));
  const SERIES = ["#2f6db5", "#d2691e", "#2a9d6f", "#a3479b", "#8a7a1f", "#c23b4e"];
  const SERIES_DARK = ["#7db5f0", "#f0a060", "#5fd0a4", "#d694d0", "#d6c65c", "#f08090"];
  const MOST_TIPS = 8;
  const charts = [];
  const drawn = {};

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const palette = () => (isDark() ? SERIES_DARK : SERIES);
  const number = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value !== "number" || Number.isInteger(value)) return String(value);
    const text = value.toPrecision(4);
    const plain = Number(text);
    const isPlain = Math.abs(plain) >= 1e-4 && Math.abs(plain) < 1e5;
    return isPlain ? String(plain) : plain.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  };
  const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const tick = (value) => {
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential().replace(/\.?0+e/, "e") : String(Number(value.toPrecision(6)));
  };
  const text = (axis, value) => (axis.kind === "category" ? axis.values[value] ?? "" : number(value));

  const ranked = data.rows.filter((row) => row[column.rank] !== null);
  const objective = data.objectives[0];
  const lines = () => ({ lineStyle: { color: style("--line") } });
  const axisStyle = () => ({
    axisLine: { lineStyle: { color: style("--grey") } },
    axisLabel: { color: style("--dim"), fontSize: 11, hideOverlap: true },
    nameTextStyle: { color: style("--text"), fontSize: 12 },
    splitLine: lines(),
  });
  const valueAxis = (name, more = {}) => ({
    ...axisStyle(), type: "value", scale: true, name, nameLocation: "middle", nameGap: 28, ...more,
    axisLabel: { ...axisStyle().axisLabel, formatter: tick, ...(more.axisLabel || {}) },
  });
  const settingAxis = (axis, more = {}) => {
    if (axis.kind === "category") {
      return { ...axisStyle(), type: "category", data: axis.values, name: axis.name, nameLocation: "middle", nameGap: 26, splitLine: { show: false }, jitter: ranked.length > 30 ? 24 : 0, jitterOverlap: true, ...more };
    }
    return valueAxis(axis.name, { type: axis.kind === "log" ? "log" : "value", min: axis.low, max: axis.high, ...more });
  };
  const tipStyle = () => ({ backgroundColor: style("--page"), borderColor: style("--line"), textStyle: { color: style("--text"), fontSize: 12 }, confine: true });
  const describe = (row) => {
    const parts = [`<b>trial ${escape(row[column.trial])}</b>${row[column.rank] ? `, rank ${row[column.rank]}` : ""}`];
    for (const axis of data.objectives) parts.push(`${escape(axis.name)}: ${number(row[column[axis.path]])}`);
    for (const axis of data.settings.slice(0, MOST_TIPS)) {
      parts.push(`${escape(axis.name)}: ${escape(text(axis, row[column[axis.path]]))}`);
    }
    return parts.join("<br>");
  };
  // Of many lower-is-better values, a few bad trials are far off: a logarithmic axis shows the others.
  const objectiveAxis = (axis, more = {}) => {
    const values = ranked.map((row) => row[column[axis.path]]).filter((value) => value !== null);
    const low = Math.min(...values), high = Math.max(...values);
    const isLog = low > 0 && high / low > 30;
    return valueAxis(axis.name, { type: isLog ? "log" : "value", ...more });
  };
  const rankColour = (row) => {
    const share = ranked.length < 2 ? 1 : 1 - (row[column.rank] - 1) / (ranked.length - 1);
    return echarts.color.lerp(share, isDark() ? RAMP.slice(1) : RAMP);
  };

  const draw = {
    curves() {
      const found = data.curves;
      if (!found.curves || !found.curves.length) return null;
      const units = [...new Set(found.curves.map((curve) => curve.unit))].slice(0, 4);
      const box = document.getElementById("chart-curves");
      const across = units.length > 1 && box.clientWidth >= 520 ? 2 : 1, down = Math.ceil(units.length / across);
      box.style.height = `${down * 210}px`;
      const width = box.clientWidth / across;
      const grid = units.map((_, i) => ({ left: (i % across) * width + 62, width: width - 84, top: Math.floor(i / across) * 210 + 34, height: 122 }));
      const titles = units.map((unit, i) => ({ text: unit, left: (i % across) * width + 8, top: Math.floor(i / across) * 210 + 8, textStyle: { fontSize: 12, fontWeight: "normal", color: style("--dim") } }));
      const keys = found.curves.filter((curve) => units.includes(curve.unit)).map((curve) => curve.name);
      const series = [];
      const unitOf = (name) => units.indexOf((found.curves.find((curve) => curve.name === name) || {}).unit);
      for (const leader of found.leaders) {
        series.push({ name: `trial ${leader.trial}`, type: "line", data: leader.points, xAxisIndex: 0, yAxisIndex: 0, showSymbol: false, silent: true, lineStyle: { color: style("--grey"), width: 1, opacity: 0.7 }, itemStyle: { color: style("--grey") } });
      }
      found.curves.forEach((curve, i) => {
        const at = units.indexOf(curve.unit);
        if (at < 0) return;
        const best = curve.points.find((point) => point[0] === found.epoch);
        const isObjective = data.objectives.some((axis) => axis.path === curve.name);
        series.push({
          name: curve.name, type: "line", data: curve.points, xAxisIndex: at, yAxisIndex: at, showSymbol: curve.points.length < 3,
          lineStyle: { width: isObjective ? 2.5 : 1.5 }, itemStyle: { color: palette()[keys.indexOf(curve.name) % SERIES.length] },
          markPoint: best && isObjective ? { symbol: "circle", symbolSize: 9, label: { show: false }, data: [{ coord: best }] } : undefined,
          markLine: curve.name === "valid/mse" ? references(found.references) : undefined,
        });
      });
      titles.forEach((title, i) => {
        const names = found.curves.filter((curve) => curve.unit === units[i]);
        title.text = names.length === 1 ? `{a|${names[0].name}}  ${names[0].unit === names[0].name ? "" : names[0].unit}` : names.map((curve, j) => `{${"abcdef"[j]}|${curve.name}}`).join("   ");
        title.textStyle.rich = Object.fromEntries(names.map((curve, j) => ["abcdef"[j], { color: palette()[keys.indexOf(curve.name) % SERIES.length], fontSize: 12, fontWeight: 600 }]));
      });
      return {
        grid, series, title: titles,
        tooltip: { trigger: "axis", ...tipStyle(), valueFormatter: number },
        xAxis: units.map((_, i) => valueAxis(i >= units.length - across ? "epoch" : "", { gridIndex: i, scale: false, minInterval: 1, nameGap: 22 })),
        yAxis: units.map((unit, i) => {
          const values = found.curves.filter((curve) => curve.unit === unit).flatMap((curve) => curve.points.map((p) => p[1]));
          const extra = i === unitOf("valid/mse") ? Object.values(found.references).filter((v) => v !== null) : [];
          const all = [...values, ...extra];
          const low = Math.min(...all), high = Math.max(...all);
          const isLog = low > 0 && high / low > 10;
          const pad = (high - low) * 0.05 || Math.abs(high) * 0.1 || 1;
          const range = isLog ? { min: 10 ** (Math.floor(Math.log10(low) * 4) / 4), max: 10 ** (Math.ceil(Math.log10(high) * 4) / 4) } : outward(low - pad < 0 && low >= 0 ? 0 : low - pad, high + pad);
          return valueAxis("", { gridIndex: i, type: isLog ? "log" : "value", nameGap: 46, splitNumber: 3, ...range, axisLabel: { formatter: (v) => tick(Number(v.toPrecision(3))), showMinLabel: !isLog, showMaxLabel: !isLog } });
        }),
      };
    },
    slices() {
      const values = data.settings;
      if (!values.length) return null;
      const width = document.getElementById("chart-slices").clientWidth;
      const across = width < 560 ? 1 : Math.min(3, values.length);
      const down = Math.ceil(values.length / across);
      document.getElementById("chart-slices").style.height = `${down * 230}px`;
      const grid = [], xAxis = [], yAxis = [], series = [];
      values.forEach((axis, i) => {
        const col = i % across, row = Math.floor(i / across);
        grid.push({ left: col * (width / across) + 58, width: width / across - 76, top: row * 230 + 14, height: 158 });
        xAxis.push(settingAxis(axis, { gridIndex: i, splitLine: { show: false }, splitNumber: 3 }));
        yAxis.push(objectiveAxis(objective, { gridIndex: i, name: col === 0 ? objective.name : "", nameGap: 44, splitNumber: 3 }));
        series.push({
          type: "scatter", xAxisIndex: i, yAxisIndex: i, symbolSize: ranked.length > 200 ? 4 : 8, itemStyle: { color: palette()[0], opacity: ranked.length > 200 ? 0.5 : 0.75 },
          data: ranked.map((row) => ({ value: [row[column[axis.path]], row[column[objective.path]]], row })),
        });
      });
      return { grid, xAxis, yAxis, series, tooltip: { ...tipStyle(), formatter: (item) => describe(item.data.row) } };
    },
    parallel() {
      const axes = [...data.settings, ...data.objectives];
      const parallelAxis = axes.map((axis, i) => {
        const isObjective = i >= data.settings.length;
        const common = { dim: i, name: axis.name, nameTextStyle: { color: style("--text"), fontSize: 12 }, axisLine: { lineStyle: { color: style("--grey") } }, axisTick: { lineStyle: { color: style("--grey") } }, axisLabel: { color: style("--text"), fontSize: 11, textBorderColor: style("--page"), textBorderWidth: 3, formatter: tick }, areaSelectStyle: { width: 18, color: style("--accent"), opacity: 0.25, borderColor: style("--accent") } };
        if (axis.kind === "category") return { ...common, type: "category", data: axis.values, axisLabel: { ...common.axisLabel, formatter: undefined } };
        if (isObjective) {
          const values = ranked.map((row) => row[column[axis.path]]);
          const low = Math.min(...values), high = Math.max(...values);
          const isLog = low > 0 && high / low > 30;
          const span = isLog || low === high ? {} : outward(low, high);
          return { ...common, ...span, type: isLog ? "log" : "value", scale: true, nameLocation: axis.direction === "minimize" ? "start" : "end", inverse: axis.direction === "minimize", nameTextStyle: { ...common.nameTextStyle, fontWeight: "bold" } };
        }
        return { ...common, type: axis.kind === "log" ? "log" : "value", min: axis.low, max: axis.high };
      });
      const worstFirst = [...ranked].reverse();
      return {
        parallel: { left: 50, right: 70, top: 40, bottom: 24, axisExpandable: false, parallelAxisDefault: { nameLocation: "end" } },
        parallelAxis,
        series: [{
          type: "parallel", smooth: false, inactiveOpacity: 0.04, activeOpacity: ranked.length > 200 ? 0.7 : 0.9, emphasis: { lineStyle: { width: 3 } },
          data: worstFirst.map((row) => ({ value: axes.map((axis) => row[column[axis.path]] ?? "-"), row, lineStyle: { color: rankColour(row), width: ranked.length > 200 ? 1 : 1.6, opacity: ranked.length > 200 ? 0.35 : 0.8 } })),
        }],
        tooltip: { ...tipStyle(), formatter: (item) => describe(item.data.row) },
      };
    },
    pareto() {
      const [x, y] = data.objectives;
      const part = (isFront) => ranked.filter((row) => row[column.front] === isFront).map((row) => ({ value: [row[column[x.path]], row[column[y.path]]], row }));
      const isPlane = data.objectives.length === 2;
      const front = part(true).sort((a, b) => a.value[0] - b.value[0]);
      return {
        grid: { left: 70, right: 20, top: 34, bottom: 48 },
        legend: { top: 0, left: 60, textStyle: { color: style("--text") }, data: ["Pareto front", "dominated"] },
        xAxis: objectiveAxis(x, { name: `${x.name} ${x.direction === "minimize" ? "↓" : "↑"}` }),
        yAxis: objectiveAxis(y, { name: `${y.name} ${y.direction === "minimize" ? "↓" : "↑"}`, nameGap: 52 }),
        series: [
          { name: "dominated", type: "scatter", symbolSize: 7, itemStyle: { color: style("--grey"), opacity: 0.6 }, data: part(false) },
          { name: "Pareto front", type: isPlane ? "line" : "scatter", step: isPlane ? stairs(x, y) : undefined, symbol: "circle", symbolSize: 9, lineStyle: { width: 1.2 }, itemStyle: { color: palette()[1] }, data: front },
        ],
        tooltip: { ...tipStyle(), formatter: (item) => describe(item.data.row) },
      };
    },
    matrix() {
      const axes = data.objectives, n = axes.length;
      const width = document.getElementById("chart-matrix").clientWidth, height = 200 * n;
      const grid = [], xAxis = [], yAxis = [], series = [];
      axes.forEach((down, row) => axes.forEach((across, col) => {
        if (col >= row) return;
        const i = grid.length;
        grid.push({ left: col * (width / (n - 1)) + 62, width: width / (n - 1) - 84, top: (row - 1) * (height / (n - 1)) + 12, height: height / (n - 1) - 70 });
        xAxis.push(objectiveAxis(across, { gridIndex: i, splitNumber: 3 }));
        yAxis.push(objectiveAxis(down, { gridIndex: i, splitNumber: 3, nameGap: 46 }));
        for (const isFront of [false, true]) {
          series.push({ type: "scatter", xAxisIndex: i, yAxisIndex: i, symbolSize: isFront ? 7 : 5, itemStyle: { color: isFront ? palette()[1] : style("--grey"), opacity: 0.75 }, data: ranked.filter((r) => r[column.front] === isFront).map((r) => ({ value: [r[column[across.path]], r[column[down.path]]], row: r })) });
        }
      }));
      return { grid, xAxis, yAxis, series, tooltip: { ...tipStyle(), formatter: (item) => describe(item.data.row) } };
    },
    importance() {
      const found = data.analysis.importance;
      if (!found) return null;
      const order = [...found.settings].reverse();
      return {
        grid: { left: 8, right: 30, top: 30, bottom: 44, containLabel: true },
        legend: { top: 0, left: 0, textStyle: { color: style("--text") }, data: found.methods.map((method) => method.name) },
        xAxis: valueAxis("", { scale: false, min: 0, max: Math.min(1, Math.ceil(10 * Math.max(...found.settings.flatMap((s) => found.methods.map((m) => (s[m.key] ? s[m.key].value + (s[m.key].error || 0) : 0))))) / 10) || 1, axisLabel: { formatter: (v) => `${Math.round(v * 100)} %` } }),
        yAxis: { ...axisStyle(), type: "category", data: order.map((item) => item.name), splitLine: { show: false }, axisLabel: { ...axisStyle().axisLabel, color: style("--text"), fontSize: 12 } },
        series: found.methods.flatMap((method, i) => bars(method, order, palette()[i])),
        tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, ...tipStyle(), formatter: (items) => importanceTip(items, order, found.methods) },
      };
    },
    contour() {
      const found = data.analysis.contour;
      if (!found) return null;
      return {
        grid: { left: 70, right: 96, top: 16, bottom: 48 },
        xAxis: { ...axisStyle(), type: "category", data: found.x.map(number), ...few(found.x), name: found.names[0], nameLocation: "middle", nameGap: 28 },
        yAxis: { ...axisStyle(), type: "category", data: found.y.map(number), ...few(found.y), name: found.names[1], nameLocation: "middle", nameGap: 52 },
        visualMap: { min: found.low, max: found.high, calculable: false, right: 4, top: 20, precision: 4, itemHeight: 160, formatter: number, textStyle: { color: style("--dim") }, text: [number(found.high), number(found.low)], inRange: { color: objective.direction === "minimize" ? [...RAMP].reverse() : RAMP } },
        series: [{ type: "heatmap", data: found.cells, progressive: 0 }],
        tooltip: { ...tipStyle(), formatter: (item) => `${escape(found.names[0])}: ${item.name}<br>${escape(objective.name)}: ${number(item.value[2])}` },
      };
    },
    convergence() {
      const found = data.analysis.convergence;
      if (!found) return null;
      const line = (name, values, more) => ({ name, type: "line", showSymbol: false, data: values.map((value, i) => [i + 1, value]).filter((p) => p[1] !== null), ...more });
      const band = found.low ? [
        line("low", found.low, { stack: "band", lineStyle: { opacity: 0 }, silent: true, tooltip: { show: false } }),
        line("random search, 90 %", found.high.map((v, i) => (v === null ? null : v - found.low[i])), { stack: "band", lineStyle: { opacity: 0 }, areaStyle: { color: style("--grey"), opacity: 0.3 }, itemStyle: { color: style("--grey") }, silent: true }),
      ] : [];
      return {
        grid: { left: 70, right: 20, top: 40, bottom: 46 },
        legend: { top: 0, textStyle: { color: style("--text") }, data: [found.name, "random search", ...(found.low ? ["random search, 90 %"] : [])] },
        xAxis: valueAxis("trials", { scale: false, type: found.best.length > 100 ? "log" : "value", minInterval: 1, max: found.best.length, min: 1 }),
        yAxis: valueAxis(objective.name, { nameGap: 52 }),
        series: [...band, line("random search", found.random, { lineStyle: { type: "dashed" }, itemStyle: { color: style("--dim") } }), line(found.name, found.best, { step: "end", lineStyle: { width: 2.5 }, itemStyle: { color: palette()[0] } })],
        tooltip: { trigger: "axis", ...tipStyle(), formatter: (items) => [`after ${items[0].value[0]} trials`, ...items.filter((i) => !["low", "random search, 90 %"].includes(i.seriesName)).map((i) => `${escape(i.seriesName)}: ${number(i.value[1])}`)].join("<br>") },
      };
    },
  };

  // Rounds a range outward to few digits, so that no value lies beyond the axis.
  function outward(low, high) {
    const step = 10 ** Math.floor(Math.log10(high - low || Math.abs(high) || 1)) / 10;
    const round = (value) => Number(value.toPrecision(12));
    return { min: round(Math.floor(low / step) * step), max: round(Math.ceil(high / step) * step) };
  }
  function few(values) {
    const every = Math.ceil(values.length / 8);
    return { axisLabel: { ...axisStyle().axisLabel, hideOverlap: false, interval: (index) => index % every === 0 } };
  }
  function references(found) {
    const known = Object.entries(found).filter(([, value]) => value !== null);
    return { symbol: "none", silent: true, data: known.map(([name, value]) => ({ yAxis: value, name, lineStyle: { color: style("--dim"), type: "dashed" }, label: { formatter: `${name} ${number(value)}`, position: "insideEndTop", color: style("--dim"), fontSize: 10 } })) };
  }
  function stairs(x, y) {
    return x.direction === "minimize" ? (y.direction === "minimize" ? "end" : "end") : "start";
  }
  function bars(method, order, colour) {
    const values = order.map((item) => item[method.key]);
    const opacity = (item) => (item.matters ? 1 : 0.45);
    const series = [{ name: method.name, type: "bar", data: values.map((v, i) => ({ value: v ? v.value : null, itemStyle: { opacity: opacity(order[i]) } })), itemStyle: { color: colour }, barMaxWidth: 12 }];
    const errors = values.map((v, i) => [v && v.value, i, v && v.error]).filter((v) => v[2]);
    if (errors.length) series.push({ name: `${method.name} ±`, type: "custom", data: errors, z: 5, silent: true, tooltip: { show: false }, encode: { x: 0, y: 1 }, renderItem: errorBar });
    return series;
  }
  // One standard deviation each way, at the height of the first of two bars.
  function errorBar(params, api) {
    const at = (value) => api.coord([value, api.value(1)]);
    const [left, y] = at(Math.max(0, api.value(0) - api.value(2))), [right] = at(api.value(0) + api.value(2));
    const middle = y - 8;
    return { type: "line", shape: { x1: left, x2: right, y1: middle, y2: middle }, style: { stroke: style("--text"), lineWidth: 1.5 } };
  }
  function importanceTip(items, order, methods) {
    const setting = order[items[0].dataIndex];
    const share = (v) => `${(100 * v).toFixed(1)} %`;
    return [`<b>${escape(setting.name)}</b>`, ...methods.filter((m) => setting[m.key]).map((m) => `${escape(m.name)}: ${share(setting[m.key].value)}${setting[m.key].error ? ` ± ${share(setting[m.key].error)}` : ""}`)].join("<br>");
  }

  function show(name, width) {
    const box = document.getElementById(`chart-${name}`);
    if (!box) return;
    const option = draw[name]();
    if (!option) { box.closest("figure").hidden = true; return; }
    drawn[name]?.dispose();
    const chart = echarts.init(box, null, { renderer: "svg", ...(width ? { width } : {}) });
    chart.setOption({ animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily }, aria: { enabled: true }, ...option });
    drawn[name] = chart;
    chart.on("click", (item) => { if (item.data && item.data.row) choose(item.data.row[column.trial]); });
    if (name === "parallel") chart.on("axisareaselected", () => selected(chart));
  }
  const showAll = (width) => Object.keys(draw).forEach((name) => show(name, width));

  function selected(chart) {
    const indices = chart.getModel().getSeries()[0].getRawIndicesByActiveState("active");
    const isAll = indices.length === 0 || indices.length === ranked.length;
    const names = indices.map((i) => ranked[ranked.length - 1 - i]).reverse().map((row) => row[column.trial]);
    const shown = names.slice(0, 12).join(", ");
    document.getElementById("selected").textContent = isAll ? "" : `${names.length} selected, best first: ${shown}${names.length > 12 ? ", …" : ""}`;
  }
  function choose(trial) {
    const row = document.getElementById(`trial-${trial}`);
    if (!row) return;
    document.querySelectorAll("tr.chosen").forEach((other) => other.classList.remove("chosen"));
    row.classList.add("chosen");
    row.scrollIntoView({ block: "center", behavior: "smooth" });
  }

  // Everything that reacts to a person.
  document.querySelectorAll("button.cell").forEach((cell) => cell.addEventListener("click", () => choose(cell.dataset.trial)));
  document.querySelectorAll(".scale").forEach((scale) => {
    scale.style.background = `linear-gradient(to right, ${document.getElementById("scale-template").content.textContent})`;
  });
  document.querySelectorAll("nav a").forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault(); // a frame without an address of its own would leave the page
    document.querySelector(link.getAttribute("href")).scrollIntoView({ behavior: "smooth" });
  }));
  document.querySelectorAll("button.copy").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  });
  function copy(button) {
    const source = button.parentElement.querySelector("pre");
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl-C";
  }
  const table = document.getElementById("ranking"), more = document.getElementById("all-rows");
  if (table && table.tBodies[0].rows.length > 20) {
    const toggle = () => {
      const isCollapsed = table.classList.toggle("collapsed");
      more.textContent = isCollapsed ? `Show all ${table.tBodies[0].rows.length} trials` : "Show the first 20";
    };
    more.hidden = false;
    more.addEventListener("click", toggle);
    toggle();
  }
  const theme = document.getElementById("theme");
  const label = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.hidden = false;
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    label();
    showAll();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { label(); showAll(); });
  let printing = false, before;
  addEventListener("beforeprint", () => {
    printing = true;
    before = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    showAll(680);
  });
  addEventListener("afterprint", () => {
    printing = false;
    if (before) document.documentElement.dataset.theme = before; else delete document.documentElement.dataset.theme;
    showAll();
  });
  let timer;
  addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(() => { if (!printing) showAll(); }, 150);
  });
  label();
  showAll();
})();
