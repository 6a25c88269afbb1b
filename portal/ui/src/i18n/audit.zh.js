// 操作记录页面的文本，随页面加载
export default {
  'audit.via.local': '密码',
  'audit.via.token': '令牌',
  'audit.via.oidc': '统一认证',
  'audit.via.proxy': '代理认证',
  'audit.session': '会话 {id}',
  'audit.claimed': '代 {name} 操作',
};
