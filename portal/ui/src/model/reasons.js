// Why a command was refused or changed nothing, in the reader's language.

/** REASONS of core and of the portal, by the beginning of their text. The portal's files have the same words. */
const REASONS = [
  ['unknown alarm', 'gone'],
  ['there is no such alarm', 'gone'],
  ['there is no such device', 'device'],
  ['that alarm is over', 'over'],
  ['the alarm is over', 'ended'],
  ['the time until which', 'past'],
  ['too many of the device', 'many'],
  ['it is acknowledged already', 'acknowledged'],
  ['it is assigned so already', 'same'],
  ['it reads so already', 'same'],
  ['it is shelved until then already', 'shelved'],
  ['it is not shelved', 'unshelved'],
  ['it is out of service already', 'out'],
  ['it is in service', 'in'],
  ['the device has sent nothing', 'silent'],
  ['its device is under', 'maintenance'],
  ['it is under maintenance until then', 'same'],
  ['it is not under maintenance', 'same'],
];

/** reasonText returns it as the reader reads it, or as it came if it is not known. */
export function reasonText(t, reason) {
  const known = REASONS.find(([begin]) => reason.startsWith(begin));
  return known ? t(`refusal.${known[1]}`) : reason || t('unknown');
}
