import assert from 'node:assert/strict';
import test from 'node:test';
import { translator } from '../src/core/i18n.js';
import en from '../src/i18n/rules.en.js';
import zh from '../src/i18n/rules.zh.js';
import { problemText } from '../src/model/ruleproblems.js';

test("core's messages are shown in the page's language", () => {
  for (const [message, wantEN, wantZH] of [
    ['"warm": want a number', '"warm": want a number', '"warm"：应为数字'],
    ['-1: want a finite number, 0 or more', '-1: want 0 or more', '-1：应不小于 0'],
    ['5: want less than the limit, 3', '5: want less than the limit, 3', '5：应小于限值 3'],
    ['missing; want a time like 30s or 5m', 'missing; want a time like 30s or 5m', '缺少该字段；应为时间，如 30s、5m'],
    ['unknown field; want one of id, type', 'unknown field; want one of id, type', '未知字段；应为 id, type'],
    ['"x": want critical, high, medium or low', '"x": want critical, high, medium or low', '"x"：应为 critical, high, medium 或 low'],
    ['48h0m0s: want 0s to 24h', '48h0m0s: want 0s to 24h', '48h0m0s：应为 0s 至 24h'],
    ['this is not YAML: [2:3] x', 'this is not YAML: [2:3] x', '格式错误：[2:3] x'],
    ['core is unreachable', 'core is unreachable', 'core is unreachable'],
  ]) {
    assert.equal(problemText(message, translator(en)), wantEN);
    assert.equal(problemText(message, translator(zh)), wantZH);
  }
});
